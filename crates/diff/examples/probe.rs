//! Temporary probe.
use trueup_diff::*;
use trueup_object::*;
fn read(p: &str) -> Option<Node> {
    if p == "-" { None } else { Some(Node::from_json(&std::fs::read(p).unwrap()).unwrap()) }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (d, l, b) = (read(&a[2]).unwrap(), read(&a[3]).unwrap(), read(&a[4]));
    let schema = match a.get(5).map(String::as_str) {
        Some("-") | None => Schema::unknown(),
        Some(p) => {
            let g = Gvk::from_api_version(d.str_at(&["apiVersion"]).unwrap(), d.str_at(&["kind"]).unwrap());
            Schema::from_openapi_v3(&std::fs::read(p).unwrap(), &g).unwrap()
        }
    };
    let projection = a.get(6).and_then(|p| read(p)).map(|answer| Projection::from_answer(&d, &answer, &schema));
    match a[1].as_str() {
        "compare" => {
            let c = compare(&Input {
                desired: &d,
                live: &l,
                base: b.as_ref(),
                schema: &schema,
                projection: projection.as_ref(),
                ignore: &[],
                scalers: &[],
                migration_manager: None,
                built_in: true,
                pending: false,
                never_synced: false,
            });
            for x in &c.differences {
                println!(
                    "{:?} {} git={} live={} owner={:?} doubtful={}",
                    x.what,
                    x.path,
                    x.desired.clone().unwrap_or_default(),
                    x.live.clone().unwrap_or_default(),
                    x.owner.as_ref().map(|o| &o.manager),
                    x.doubtful
                );
            }
            for n in &c.notes {
                println!("note {n:?}");
            }
            println!("needs_schema={} in_line={}", c.needs_schema, c.in_line());
        }
        "takeover" => {
            println!("{}", takeover(&d, b.as_ref(), &l, &schema, None, false).map_or("none".into(), |n| n.to_string()))
        }
        _ => {}
    }
}
