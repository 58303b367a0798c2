#![allow(clippy::unwrap_used, missing_docs)]
use trueup_object::{Node, yaml};
#[derive(serde::Deserialize)]
struct R { path: String, docs: Vec<String>, printed: Vec<String>, err: bool }
#[test]
fn corpus() {
    let all = std::fs::read_to_string("/tmp/corp/out.jsonl").unwrap();
    let (mut n, mut bad, mut bytes) = (0, 0, 0);
    let mut time = std::time::Duration::ZERO;
    for line in all.lines() {
        let r: R = serde_json::from_str(line).unwrap();
        let text = std::fs::read(&r.path).unwrap();
        n += 1; bytes += text.len();
        let start = std::time::Instant::now();
        let ours = yaml::documents(&text);
        time += start.elapsed();
        let what = match &ours {
            Err(e) if r.err => { let _ = e; continue }
            Err(e) => format!("ours: {e}"),
            Ok(_) if r.err => "only Go refuses".into(),
            Ok(d) if d.len() != r.docs.len() => format!("ours {} docs, Go {}", d.len(), r.docs.len()),
            Ok(d) => match d.iter().zip(&r.docs).position(|(a, b)| a.node.to_json() != Node::from_json(b.as_bytes()).unwrap().to_json()) {
                Some(at) => format!("doc {at} differs"),
                None => match d.iter().zip(&r.printed).position(|(a, b)| b != "ERR" && yaml::print(&a.node) != *b) {
                    Some(at) => format!("doc {at} prints otherwise"),
                    None => continue,
                },
            },
        };
        bad += 1;
        println!("{}: {what}", r.path);
    }
    println!("{n} files, {bad} differ, {bytes} bytes in {time:?}");
}
