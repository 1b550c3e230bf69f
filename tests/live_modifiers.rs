//! Modifiers of data probes: which hits fire, by figures; and `--max-overhead`.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Ended, Hwtrace, Target, again, c, despite_lost_traps, engine_name, live};

/// Of six threads.
const STORES_OF_ALL: i64 = 60_000;

/// What comes of a script on four threads that are there and two that come, each of which
/// stores 10,000 times to `counter`; `{TID}` in it is a thread that is there.
fn traced(script: &str, arguments: &[&str]) -> (Vec<i64>, Ended) {
    despite_lost_traps(|| {
        let mut target = Target::start(&c("threads"), &["4", "2"]);
        let threads = std::fs::read_dir(format!("/proc/{}/task", target.pid())).unwrap();
        let names = threads.map(|it| it.unwrap().file_name().into_string().unwrap());
        let own = target.pid().to_string();
        let tid = names.into_iter().find(|name| *name != own).unwrap();
        let script = format!("{script} probe begin {{ println(\"armed\") }}");
        let script = script.replace("{TID}", &tid);
        let hwtrace = Hwtrace::attach(&script, &target).with(arguments).start();
        hwtrace.out().until("armed");
        target.say("go");
        let ended = hwtrace.finish().expect(0);
        target.finish()?;
        let numbers = ended.out.iter().map(|line| line.parse().unwrap()).collect();
        Some((numbers, ended))
    })
}

/// A script that counts the hits at which `counter` fires with these modifiers.
fn counting(modifiers: &str) -> String {
    format!(
        "global n
         probe process.data(\"counter\"){modifiers}.write {{ n++ }}
         probe end {{ println(n) }}"
    )
}

#[test]
fn each_so_many_fire_over_all_threads_and_so_many_at_most() {
    if !live() {
        return;
    }
    for (modifiers, limit) in [
        (".every(7)", None),
        (".limit(9)", Some(9)),
        (".limit(12).user.every(1000).pinned", Some(12)),
    ] {
        again(|| {
            let (numbers, ended) = traced(&counting(modifiers), &["-v"]);
            let hits = ended.figures().hits as i64;
            assert_eq!(numbers, [limit.unwrap_or(hits / 7)], "{modifiers} {ended:#?}");
            match limit {
                // Of most hits there is no record.
                None => {
                    let left_out =
                        ended.messages.iter().find(|it| it.contains("at the source"));
                    assert_eq!(left_out.is_some(), engine_name() == "bpf", "{ended:#?}");
                    Ok(())
                }
                // It is disarmed then, unless all was over before hwtrace ran.
                Some(_) if hits < STORES_OF_ALL => Ok(()),
                Some(_) => {
                    assert_eq!(hits, STORES_OF_ALL, "{modifiers} {ended:#?}");
                    Err(format!("{modifiers}: all stores were hits"))
                }
            }
        });
    }
}

#[test]
fn changes_and_conditions_are_counted_alike() {
    if !live() {
        return;
    }
    // What the handler itself asks comes after the modifiers.
    let script = "
        global all, of_them, odd
        probe process.data(\"counter\").change { all++ }
        probe process.data(\"counter\").change.every(5) {
            of_them++
            if (of_them % 2) odd++
        }
        probe end { println(all) println(of_them) println(odd) println(seen(\"counter\")) }";
    let (numbers, ended) = traced(script, &[]);
    let [all, of_them, odd, seen] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!((all / 5, (of_them + 1) / 2, all), (of_them, odd, seen), "{ended:#?}");
    assert!(all > 50_000, "{ended:#?}");
    // Alone on its register it is counted by the engine, where that can.
    let script = "
        global n
        probe process.data(\"counter\").write.every(5) { if ($new % 10 == 3) n++ }
        probe end { println(n) println(seen(\"counter\")) }";
    let (numbers, ended) = traced(script, &[]);
    let [n, seen] = numbers[..] else { panic!("{numbers:?}") };
    assert!(n > 0 && n < seen, "{ended:#?}");
    assert_eq!(seen, ended.figures().hits as i64 / 5, "{ended:#?}");
}

#[test]
fn a_thread_a_cpu_and_a_side_are_told_apart() {
    if !live() {
        return;
    }
    let count = std::thread::available_parallelism().unwrap().get();
    let cpu =
        |cpu| format!("probe process.data(\"counter\").write.cpu({cpu}) {{ cpus++ }}\n");
    let cpus: String = (0..count).map(cpu).collect();
    let script = format!(
        "global all, one, cpus, user, kernel, by
         probe process.data(\"counter\").write {{ all++; by[tid()]++ }}
         probe process.data(\"counter\").write.thread({{TID}}) {{ one++ }}
         probe process.data(\"counter\").write.user {{ user++ }}
         probe process.data(\"counter\").write.kernel {{ kernel++ }}
         {cpus}
         probe end {{
             println(all) println(one) println(by[{{TID}}]) println(cpus)
             println(user) println(kernel)
         }}"
    );
    let (numbers, ended) = traced(&script, &[]);
    let [all, one, of_it, cpus, user, kernel] = numbers[..] else { panic!("{ended:#?}") };
    assert_eq!((one, cpus, user, kernel), (of_it, all, all, 0), "{ended:#?}");
    assert!(one > 5_000 && one < all, "{ended:#?}");
    // And where it has the register for itself.
    let (numbers, ended) = traced(&counting(".thread({TID})"), &[]);
    assert!((9_000..=10_000).contains(&numbers[0]), "{ended:#?}");
    let (numbers, _) = traced(&counting(".kernel"), &[]);
    assert_eq!(numbers, [0]);
}

#[test]
fn who_never_comes_is_said() {
    if !live() {
        return;
    }
    // No system has threads of such numbers: PID_MAX_LIMIT is 2^22.
    let (numbers, ended) = traced(&counting(".thread(2147483647)"), &[]);
    assert_eq!(numbers, [0]);
    let said = "thread 2147483647 was not there when the session began";
    assert!(ended.messages.iter().any(|line| line.contains(said)), "{ended:#?}");
}

#[test]
fn a_cpu_that_is_not_there_is_an_error() {
    let target = Target::start(&c("threads"), &[]);
    let ended = Hwtrace::attach(&counting(".cpu(8191)"), &target).run().expect(2);
    let said = "no CPU 8191 is online here";
    assert!(ended.messages.iter().any(|line| line.contains(said)), "{ended:#?}");
}

const STORES: i64 = 100_000;

/// What came of a target that is watched for a little of the time.
#[derive(Debug)]
struct Relieved {
    /// By how much longer it took.
    slower: f64,
    /// Of its stores.
    seen: i64,
    estimated: i64,
    ended: Ended,
}

fn relieved() -> Relieved {
    let script = "
        global last
        probe begin { println(\"armed\") }
        probe process.data(\"counter\").write { last = $new }
        probe end { println(last) println(seen(\"counter\")) println(estimated(\"counter\")) }";
    despite_lost_traps(|| {
        let mut target = Target::start(&c("hot"), &[&STORES.to_string(), "16000"]);
        let alone: f64 = target.ask("go")?.parse().unwrap();
        let hwtrace = Hwtrace::attach(script, &target);
        let hwtrace = hwtrace.with(&["--max-overhead", "2%"]).start();
        hwtrace.out().until("armed");
        let watched: f64 = target.ask("go")?.parse().unwrap();
        target.finish()?;
        let ended = hwtrace.finish().expect(0);
        let numbers: Vec<i64> = ended.out.iter().map(|it| it.parse().unwrap()).collect();
        let [last, seen, estimated] = numbers[..] else { panic!("{ended:#?}") };
        assert!(last < STORES && seen <= STORES, "{ended:#?}");
        Some(Relieved { slower: watched / alone, seen, estimated, ended })
    })
}

/// Hits that would take a tenth of the target's time and more take little of it, and what
/// was not seen is estimated.
#[test]
fn what_is_hit_too_often_is_watched_in_windows() {
    if !live() {
        return;
    }
    // Whoever shares the machine may keep the target, or us, from running.
    again(|| {
        let found = relieved();
        found.ended.says(&["of the time, as `--max-overhead 2%` asks for"]);
        let is_near = (STORES * 4 / 5..=STORES * 6 / 5).contains(&found.estimated);
        match found.slower < 1.25 && found.seen < STORES / 2 && is_near {
            true => Ok(()),
            false => Err(format!("{found:#?}")),
        }
    });
}
