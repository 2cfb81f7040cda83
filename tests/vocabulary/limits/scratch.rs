use botstore::interactions::SaveInteraction;
use botstore::limits::*;
use botstore::testing::{Plain, usd};
use botstore::usage::{Chat, Usage};
fn cpu() -> u128 {
    let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    s.split_whitespace().next().unwrap().parse().unwrap()
}
#[test]
fn speed() {
    let folder = tempfile::tempdir().unwrap();
    for what in std::env::var("WHAT")
        .unwrap_or("none,limit,reserve".into())
        .split(',')
    {
        for usage in [std::env::var("USAGE").is_ok()] {
            let path = folder.path().join(format!("{what}{usage}.db"));
            let _ = std::fs::remove_file(&path);
            let plain = Plain::open(&path).unwrap();
            if what != "none" {
                plain
                    .write(|tx| {
                        tx.apply(&SetLimit::new(
                            Scope::EachUser,
                            Per::Day,
                            Amount::Cost(usd(100000.0)),
                        ))
                    })
                    .unwrap();
                plain
                    .write(|tx| {
                        tx.apply(&SetLimit::new(
                            Scope::Everyone,
                            Per::Month,
                            Amount::Cost(usd(900000000.0)),
                        ))
                    })
                    .unwrap();
            }
            let mut took = [0u128; 2];
            for round in 0..std::env::var("ROUNDS").map_or(40, |r| r.parse().unwrap()) {
                plain
                    .write(|tx| {
                        let mut ids = Vec::new();
                        let began = cpu();
                        for user in 0..256i64 {
                            if what == "reserve" {
                                let d = tx.apply(&Reserve::new(user, usd(0.01)).model("gpt"))?;
                                ids.push(d.reservation().unwrap());
                            }
                        }
                        let a = cpu() - began;
                        let began = cpu();
                        for user in 0..256i64 {
                            let mut save = SaveInteraction::new(user, format!("s-{user}"), "Hello")
                                .response("Hi there")
                                .cost(usd(0.01))
                                .creating("/");
                            if usage {
                                save = save.usage(
                                    Usage::new("openai", "gpt")
                                        .input_tokens(10)
                                        .output_tokens(10)
                                        .chat(Chat::new("telegram", "7")),
                                );
                            }
                            if what == "reserve" {
                                save = save.reservation(ids[user as usize]);
                            }
                            tx.apply(&save)?;
                        }
                        if round > 5 {
                            took[0] += a;
                            took[1] += cpu() - began;
                        }
                        Ok(())
                    })
                    .unwrap();
            }
            let n = 34.0 * 256.0 * 1000.0;
            println!(
                "{what} usage {usage}: reserve {:.1} µs, save {:.1} µs",
                took[0] as f64 / n,
                took[1] as f64 / n
            );
        }
    }
}
#[test]
fn raw() {
    let folder = tempfile::tempdir().unwrap();
    for lim in [0, 1, 2] {
        let path = folder.path().join(format!("{lim}.db"));
        let plain = Plain::open(&path).unwrap();
        let c = plain.connection();
        c.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
        if lim > 0 {
            c.execute_batch("INSERT INTO botstore_limit VALUES('each_user','','cost','day',1000000000,NULL,1,'x')").unwrap();
        }
        if lim > 1 {
            for w in 0..256 {
                c.execute_batch(&format!("INSERT INTO botstore_spent VALUES('user',{w},'day','2026-03-10 00:00:00','2026-03-11 00:00:00',0,0,0)")).unwrap();
            }
        }
        c.execute_batch("BEGIN").unwrap();
        let sql = "INSERT INTO messages(session_id,user_id,timestamp,prompt,cost) VALUES ('s',?1,'2026-03-10T12:00:00.000000+00:00','p',0.01)";
        let began = cpu();
        for i in 0..20000 {
            c.prepare_cached(sql).unwrap().execute([i % 256]).unwrap();
        }
        println!(
            "{lim}: {:.2} µs {}",
            (cpu() - began) as f64 / 20000.0 / 1000.0,
            botstore::rusqlite::version()
        );
        c.execute_batch("COMMIT").unwrap();
    }
}
