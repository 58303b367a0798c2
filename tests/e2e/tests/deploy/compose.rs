//! The service of `compose.yaml`, run as it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;

use serde_json::Value;
use trueup_bed::free_port;
use trueup_bed::trueup_binary;
use trueup_bed::until;
use trueup_bed::workspace;
use trueup_e2e::SLOW;
use trueup_e2e::World;

use crate::container::Container;
use crate::container::USER;
use crate::container::Volume;
use crate::container::own_directory;
use crate::container::possible;
use crate::kustomize::parsed;

fn service() -> Value {
    let text = fs::read_to_string(workspace().join("compose.yaml")).unwrap();
    let document = parsed(&text).pop().unwrap();
    assert_eq!(document["services"].as_object().unwrap().len(), 1);
    document["services"]["trueup"].clone()
}

#[test]
fn the_service_is_confined() {
    let service = service();
    assert_eq!(service["read_only"], true);
    assert_eq!(service["user"], "65532:65532");
    assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]));
    assert!(service["volumes"].as_array().unwrap().iter().all(|volume| volume["read_only"] == true));
}

/// What lies in a tmpfs is memory of the container.
#[test]
fn a_full_cache_leaves_memory_for_the_process() {
    let service = service();
    let (_, options) = service["tmpfs"][0].as_str().unwrap().split_once(':').unwrap();
    let size = options.split(',').find_map(|option| option.strip_prefix("size=")).unwrap();
    let limit = service["mem_limit"].as_str().unwrap();
    assert_eq!(mebibytes(limit) - mebibytes(size), 512 + 2048, "deploy/ gives the two processes as much");
}

fn mebibytes(text: &str) -> u64 {
    let (digits, unit) = text.split_at(text.len() - 1);
    let factor = match unit {
        "m" => 1,
        "g" => 1024,
        _ => panic!("{text} is not in m or g"),
    };
    digits.parse::<u64>().unwrap() * factor
}

#[tokio::test]
async fn the_service_comes_up() {
    if !possible() {
        return;
    }
    let service = service();
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (cache, kubeconfig) = (dir.path().join("cache"), dir.path().join("kubeconfig"));
    own_directory(&cache);
    fs::copy(world.control_plane.kubeconfig(), &kubeconfig).unwrap();
    fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o400)).unwrap();
    chown(&kubeconfig, Some(USER), Some(USER)).unwrap();
    let mut environment: Vec<(String, String)> = service["environment"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    // Many share this machine's ports.
    let port = free_port().unwrap();
    environment.iter_mut().find(|(name, _)| name == "TRUEUP_LISTEN").unwrap().1 = format!("127.0.0.1:{port}");
    let (tmpfs, _) = service["tmpfs"][0].as_str().unwrap().split_once(':').unwrap();
    let target = service["volumes"][0]["target"].as_str().unwrap();
    let volumes = [
        Volume { source: cache, target: tmpfs.to_owned(), writable: true },
        Volume { source: kubeconfig, target: target.to_owned(), writable: false },
    ];
    let command: Vec<String> =
        service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    let mut container =
        Container::run(dir.path(), "trueup", &trueup_binary().unwrap(), &command, &environment, &volumes);
    until("the service to be ready", SLOW, async || match container.get(port, "/health/ready").await {
        Some(200) => Ok(()),
        other => Err((other, container.ended(), container.log())),
    })
    .await
    .unwrap();
}
