//! The formatter: the same program, and nothing left to do the second time.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use hwtrace_lang::format::format;
use hwtrace_lang::parse::parse;
use hwtrace_lang::span::Source;

fn formatted(text: &str) -> Option<String> {
    format(&Source::new("test.hwt", text)).ok()
}

/// The tree without places.
fn tree(text: &str) -> Option<String> {
    let arguments: Vec<String> = match text.lines().next().unwrap_or_default() {
        first if first.starts_with("# arguments: ") => {
            first["# arguments: ".len()..].split_whitespace().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    parse(&Source::new("test.hwt", text), &arguments)
        .ok()
        .map(|script| script.to_string())
}

fn check(text: &str) {
    let Some(once) = formatted(text) else {
        assert!(tree(text).is_none(), "parses, but is not formatted:\n{text}");
        return;
    };
    assert_eq!(tree(text), tree(&once), "another program:\n{text}\n---\n{once}");
    let twice = formatted(&once);
    assert_eq!(twice.as_deref(), Some(once.as_str()), "not stable:\n{text}");
}

#[test]
fn all_scripts_of_the_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut seen = 0;
    for stage in ["parse_ok", "parse_refused", "check_refused", "check_ok"] {
        for entry in std::fs::read_dir(folder.join(stage)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "hwt") {
                check(&std::fs::read_to_string(path).unwrap());
                seen += 1;
            }
        }
    }
    assert!(seen > 100);
}

#[test]
fn house_style() {
    let text = "# top\n\n\n\nglobal a%[10],b=-1 ;\nprobe process.data( \"x\" ).write?if(b),begin\n{ // first\nif(a[1]){b++}else if(!b) b=- -1;else {}\n\n\n# own\nfor(i=0;i<3;i++)print(i)/* in */\ntry{x=f(1,\n2)}catch(m){delete a[*]\n# last\n}}\nfunction f:long(a:long,b){return a.b}";
    let expected = "\
# top

global a%[10], b = -1;
probe process.data(\"x\").write? if (b), begin { // first
    if (a[1]) {
        b++
    } else if (!b)
        b = - -1;
    else {}

    # own
    for (i = 0; i < 3; i++)
        print(i) /* in */
    try {
        x = f(1,
            2)
    } catch (m) {
        delete a[*]
        # last
    }
}
function f:long(a:long, b) {
    return a . b
}
";
    assert_eq!(formatted(text).unwrap(), expected);
    check(text);
}

#[test]
fn data_of_the_target() {
    let text = "probe process.data(1).rw{print( $x -> a [ 1 ]->next$ .$y$$)x=* $p*  & $q&-*$p;z=@cast( p,\"t\" )[ 2 ] ->b}";
    let expected = "\
probe process.data(1).rw {
    print($x->a[1]->next$ . $y$$)
    x = *$p * &$q & -*$p;
    z = @cast(p, \"t\")[2]->b
}
";
    assert_eq!(formatted(text).unwrap(), expected);
    check(text);
}

#[test]
fn the_preprocessor_is_left_alone() {
    let text = "@define  m( x ) %( @x+1 %)\n%( arch == \"x\"\n  %?  probe begin{ }\n%: probe end{ } %)\nprobe begin{print( @m(1) )}\nprobe end{print(@q)}\n";
    let expected = "@define  m( x ) %( @x+1 %)\n%( arch == \"x\"\n  %?  probe begin{ }\n%: probe end{ } %)\nprobe begin {\n    print(@m(1))\n}\nprobe end{print(@q)}\n";
    assert_eq!(formatted(text).unwrap(), expected);
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let next = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        usize::try_from(next % end as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn blank(&mut self) -> &'static str {
        self.pick(&[
            " ",
            " ",
            "\n",
            "\n\n\n",
            " # note\n",
            "/* in */",
            "\n// own\n",
            "\t",
            "\n/* a\nb */\n",
        ])
    }

    fn expression(&mut self, depth: usize) -> String {
        let blank = self.blank();
        if depth == 0 {
            return self
                .pick(&[
                    "x",
                    "12",
                    "1.5",
                    "\"s\" \"t\"",
                    "a[1, x]",
                    "f()",
                    "@count(s)",
                    "$new",
                    "$new->next",
                    "$x[ 1 ]-> a$",
                    "& $x",
                    "*  $p",
                    "@cast( p,\"t\" ) ->a$$",
                ])
                .to_owned();
        }
        let (left, right) = (self.expression(depth - 1), self.expression(depth - 1));
        match self.below(9) {
            0 => format!("-{blank}{left}"),
            1 => format!("!{left}"),
            2 => format!("({blank}{left})"),
            3 => format!("{left}{blank}? {right} :{blank}{left}"),
            4 => format!("f({left},{blank}{right})"),
            5 => format!("[{left}, {right}] in{blank}a"),
            6 => format!("x{blank}= {right}"),
            7 => format!("x++{blank}+ ++x - - -{left}"),
            _ => {
                let op = self.pick(&[
                    "+", "-", "*", "/", "%", "&", "|", "<<", ">>>", ".", "==", "&&", "<",
                ]);
                format!("{left}{blank}{op} {right}")
            }
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let (blank, value) = (self.blank(), self.expression(depth.min(2)));
        if depth == 0 {
            return self
                .pick(&[
                    "next;",
                    "break",
                    ";",
                    "delete a[*, 1]",
                    "s <<< 3;",
                    "return",
                    "{}",
                ])
                .to_owned();
        }
        let (first, second) = (self.statement(depth - 1), self.statement(depth - 1));
        match self.below(9) {
            0 => format!("if{blank}({value}){blank}{first}{blank}else {second}"),
            1 => format!("if ({value}) {first}"),
            2 => format!("while ({value}){blank}{first}"),
            3 => format!("for ({value};{blank};){first}"),
            4 => format!("foreach (v = [k+, l] in a[*, 1] @sum- limit{blank}3){first}"),
            5 => format!("try {{{first}}}{blank}catch (m) {{{blank}{second}}}"),
            6 => format!("{{{blank}{first}{blank}{second}}}"),
            7 => format!("{first}{blank}{second}"),
            _ => format!("{value};"),
        }
    }
}

#[test]
fn generated_scripts() {
    let mut random = Random(2024);
    let mut parsed = 0;
    for _ in 0..500 {
        let (blank, statement) = (random.blank(), random.statement(3));
        let text = format!(
            "global a%[3]{blank}, s{blank}probe{blank}process.data(1).rw?{blank}, begin if (x){blank}{{{blank}{statement}{blank}}}{blank}"
        );
        parsed += usize::from(tree(&text).is_some());
        check(&text);
    }
    assert!(parsed > 330, "only {parsed} of the scripts parse");
}
