//! A worker for tests. Its program's name says how it begins, the name of the release what it does.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// What a program is called that is a worker, before its kind.
const PREFIX: &str = "worker-";

/// What kind of worker a program of this name is, if it is one.
pub(crate) fn kind(program: &str) -> Option<&str> {
    Path::new(program).file_name()?.to_str()?.strip_prefix(PREFIX)
}

/// The name of the program that is a worker of this kind.
pub(crate) fn name(kind: &str) -> String {
    format!("{PREFIX}{kind}")
}

/// Works until nobody listens any more.
pub(crate) fn work(kind: &str) {
    match kind {
        "mute" => hang(),
        "half" => {
            write(&[0, 0, 1, 0, b'{', b'"']);
            hang();
        }
        "giant" => {
            write(&[0xff; 16]);
            hang();
        }
        "babbler" => say_text("hello, secret"),
        "impatient" => say(&json!({"done": {"documents": []}})),
        "busy" => say(&json!({"failed": {"message": "all 8 are in use"}})),
        "old" => say(&json!({"hello": {"protocol": 2, "build": "old"}})),
        "broken" => {
            eprintln!("cannot find my hat");
            std::process::exit(9);
        }
        "drip" => loop {
            // Always something, and never anything.
            write(b"\0\0\xff\xff");
            write(&vec![b' '; 0xffff]);
        },
        _ => {}
    }
    say(
        &json!({"hello": {"protocol": 1, "build": format!("fake {kind}"), "helm": "4", "kustomize": "0", "jsonnet": "0"}}),
    );
    let mut renders = 0;
    while let Some(message) = hear() {
        if message["ping"].is_object() {
            say(&json!({"pong": {}}));
            continue;
        }
        let job = message["render"]["helm"].clone();
        work_on(job["releaseName"].as_str().unwrap_or_default(), &job, renders);
        renders += 1;
    }
}

fn work_on(what: &str, job: &Value, renders: u32) {
    match what {
        "pid" => done(&[&std::process::id().to_string()]),
        "job" => done(&[&job.to_string()]),
        "surroundings" => {
            let mut seen: Vec<String> = std::env::args().skip(1).collect();
            seen.extend(std::env::vars().map(|(name, value)| format!("{name}={value}")));
            seen.push(std::env::current_dir().unwrap().display().to_string());
            done(&seen.iter().map(String::as_str).collect::<Vec<_>>());
        }
        "ask" => {
            let mut answers = Vec::new();
            for ask in job["values"].as_array().unwrap() {
                say(&json!({"ask": serde_json::from_str::<Value>(ask["text"].as_str().unwrap()).unwrap()}));
                answers.push(hear().unwrap()["answer"].to_string());
            }
            done(&answers.iter().map(String::as_str).collect::<Vec<_>>());
        }
        "ask for ever" => loop {
            say(&json!({"ask": {"kubeVersion": {}}}));
            hear();
        },
        "needs" => say(
            &json!({"needs": [{"chart": {"repository": "oci://r", "name": "n", "version": "^1"}}, {"resource": {"url": "u"}}]}),
        ),
        "needs nothing" => say(&json!({"needs": []})),
        "nulls" => say(&json!({"done": {"documents": null, "warnings": ["w"], "unstable": null}})),
        "failed" => say(&json!({"failed": {"message": "no such value"}})),
        "large" => done(&[&"a".repeat(3 * 1024 * 1024)]),
        "hang" => hang(),
        "hang with a child" => {
            // It holds all that its parent holds.
            let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
            say(&json!({"ask": {"hasApiVersion": {"name": child.id().to_string()}}}));
            child.wait().unwrap();
        }
        "crash" => {
            eprintln!("panic: \u{1b}[2Jnil map");
            eprintln!("goroutine 1");
            std::process::exit(2);
        }
        "crash if warm" if renders > 0 => std::process::exit(2),
        "eat" => std::process::exit(3),
        "eat at once" => {
            eprintln!("fatal error: runtime: out of memory");
            std::process::exit(2);
        }
        "end" => {
            done(&[]);
            std::process::exit(0);
        }
        "complain" => {
            let line = [b'x'; 1024];
            for _ in 0..4096 {
                std::io::stderr().write_all(&line).unwrap();
            }
            done(&[]);
        }
        "complain for ever" => loop {
            let _ = std::io::stderr().write_all(&[0xff; 4096]);
        },
        "babble" => say_text("secret"),
        "half" => {
            write(&[0, 1, 0, 0, b'{']);
            hang();
        }
        "giant" => {
            write(&[0xff; 16]);
            hang();
        }
        "say more" => {
            done(&[]);
            done(&["for somebody else"]);
        }
        _ => done(&[]),
    }
}

fn done(texts: &[&str]) {
    let documents: Vec<Value> = texts.iter().map(|text| json!({"file": "f", "text": text})).collect();
    say(&json!({"done": {"documents": documents, "warnings": [], "unstable": ["now in f"]}, "later": true}));
}

fn hang() {
    loop {
        std::thread::park();
    }
}

fn say(message: &Value) {
    say_text(&message.to_string());
}

fn say_text(text: &str) {
    let length = u32::try_from(text.len()).unwrap();
    write(&[&length.to_be_bytes()[..], text.as_bytes()].concat());
}

fn write(bytes: &[u8]) {
    let mut out = std::io::stdout();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn hear() -> Option<Value> {
    let mut length = [0; 4];
    std::io::stdin().read_exact(&mut length).ok()?;
    let mut text = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    std::io::stdin().read_exact(&mut text).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}
