use crate::bench::Bench;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speed() {
    let bench = Bench::new("speed").await;
    let kind = bench.config_maps().await;
    bench.watch(&kind).await;
    let rss = || std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM")).map(str::to_owned).collect::<Vec<_>>();
    println!("{:?}", rss());
    for round in 0..3 {
        let names: Vec<String> = (0..1000).map(|i| format!("c{i}")).collect();
        let begun = std::time::Instant::now();
        let applies = names.iter().map(|name| async { bench.apply(&kind, &bench.claimed("speed", name, if round == 0 { "1" } else { "2" })).await.unwrap(); });
        futures::future::join_all(applies).await;
        println!("{:?} {:?} {:?}", begun.elapsed(), bench.cluster.counters(), rss());
    }
}
