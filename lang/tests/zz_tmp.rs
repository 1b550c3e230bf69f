mod common;
use hwtrace_lang::{parse::parse, sema::check, span::Source};
#[test]
fn big() {
    for (name, text) in [
        ("probes", "probe begin { x = 1 }\n".repeat(470_000)),
        ("one block", format!("probe begin {{ {} }}", "x = 1\n".repeat(1_700_000))),
        ("one expr list", format!("probe begin {{ x = f({}1) }}", "1,".repeat(5_000_000))),
        ("globals", format!("global a{}", ", a".repeat(3_300_000))),
        ("globals2", (0..600_000).map(|i| format!("global a{i}\n")).collect::<String>()),
        ("string", format!("probe begin {{ print(\"{}\") }}", "a\\n".repeat(3_300_000))),
        ("comment", format!("/*{}*/ probe begin {{}}", "a\n".repeat(5_000_000))),
        ("semis", format!("probe begin {{ {} }}", ";".repeat(10_000_000))),
        ("unknown", format!("probe begin {{ {} }}", (0..700_000).map(|i| format!("print(v{i})\n")).collect::<String>())),
        ("stray", "x ".repeat(5_000_000)),
        ("braces", "{}".repeat(5_000_000)),
        ("points", format!("probe begin{} {{ x = 1 }}", ",begin".repeat(1_600_000))),
        ("dots", format!("probe begin{} {{ x = 1 }}", ".a".repeat(5_000_000))),
        ("strings", format!("probe begin {{ x = {} }}", "\"\"".repeat(5_000_000))),
        ("format", format!("probe begin {{ printf(\"{}\") }}", "%d".repeat(5_000_000))),
    ] {
        let at = std::time::Instant::now();
        let len = text.len();
        let source = Source::new("x", text);
        let out = parse(&source, &[]);
        let parsed = at.elapsed();
        let result = out.and_then(|s| check(&s, &mut common::Memory::default()));
        let shown = match &result { Ok(p) => format!("ok {} probes", p.probes.len()), Err(e) => format!("{} {}", e.len(), &e[0].message.chars().take(100).collect::<String>()) };
        let rss = std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned();
        println!("{name}: {len} parse {parsed:?} all {:?} {shown} {rss}", at.elapsed());
    }
}
