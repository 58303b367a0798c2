//! What Git holds: every application with its manifests, and how they change. Pure: the same seed makes the same changes.
//!
//! Invariant: what is removed never comes back under its name, so that who meets it later knows that it is left over. Entry
//! point: [`Wanted::push`].

use std::collections::BTreeSet;

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;

use super::kind::CONFIG_MAP;
use super::kind::DEPLOYMENT;
use super::kind::Kind;
use super::kind::SECRET;
use super::kind::SERVICE;

/// Applications per repository: a push of one concerns many others.
const APPLICATIONS_PER_REPOSITORY: usize = 30;
/// Applications per namespace: they must not get into each other's way.
const APPLICATIONS_PER_NAMESPACE: usize = 10;
/// Every so many applications one has a Deployment: its pods are what costs the control plane most.
const DEPLOYMENT_EVERY: usize = 3;
/// The most applications that one push touches.
const TOUCHED_MAX: usize = 4;
/// The most objects that pushes add to one application.
const ADDED_MAX: usize = 4;
/// The most replicas that Git asks for.
const REPLICAS_MAX: u8 = 3;

/// Everything that Git holds, and what it held.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) applications: Vec<Application>,
    /// What Git removed.
    pub(super) gone: BTreeSet<Key>,
    /// Numbers what comes, so that no value and no name comes twice.
    serial: u64,
}

/// One application: a directory of a repository.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) repository: usize,
    pub(super) namespace: String,
    pub(super) objects: Vec<Object>,
}

/// One manifest.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) kind: &'static Kind,
    pub(super) name: String,
    /// As it stands in Git, without a namespace.
    pub(super) manifest: Value,
    /// Keys of its data that Git removed.
    pub(super) removed: BTreeSet<String>,
    /// A push added it, and one may remove it.
    added: bool,
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One commit: paths with their new content, or without to remove them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Push {
    pub(super) repository: usize,
    pub(super) files: Vec<(String, Option<String>)>,
}

// === impl Wanted ===

impl Wanted {
    /// So many applications, as they begin.
    pub(super) fn new(applications: usize) -> Self {
        Self { applications: (0..applications).map(Application::new).collect(), gone: BTreeSet::new(), serial: 0 }
    }

    /// How many repositories there are.
    pub(super) fn repositories(&self) -> usize {
        self.applications.len().div_ceil(APPLICATIONS_PER_REPOSITORY)
    }

    /// Everything that a repository holds.
    pub(super) fn files(&self, repository: usize) -> Vec<(String, Option<String>)> {
        let here = self.applications.iter().filter(|application| application.repository == repository);
        here.flat_map(|application| {
            application.objects.iter().map(|object| (application.path(object), Some(object.text())))
        })
        .collect()
    }

    /// Changes something, and answers the commit that says so.
    pub(super) fn push(&mut self, random: &mut Rng) -> Push {
        let repository = random.usize(0..self.repositories());
        let here: Vec<usize> =
            (0..self.applications.len()).filter(|index| self.applications[*index].repository == repository).collect();
        let touched = random.usize(1..=TOUCHED_MAX.min(here.len()));
        // A path must not stand twice in a commit, so no application is touched twice.
        let chosen = random.choose_multiple(here, touched);
        let files = chosen.into_iter().map(|index| self.change(index, random)).collect();
        Push { repository, files }
    }

    /// One of the objects, with its application.
    pub(super) fn choose(&self, random: &mut Rng, kind: Option<&Kind>) -> Option<(&Application, &Object)> {
        let of_kind = |object: &&Object| kind.is_none_or(|kind| object.kind.name == kind.name);
        // The applications without one are passed over, in the order of the dice.
        (0..self.applications.len()).find_map(|_| {
            let application = random.choice(&self.applications)?;
            let object = random.choice(application.objects.iter().filter(of_kind).collect::<Vec<_>>())?;
            Some((application, object))
        })
    }

    fn change(&mut self, index: usize, random: &mut Rng) -> (String, Option<String>) {
        self.serial += 1;
        let serial = self.serial;
        let application = &mut self.applications[index];
        let added: Vec<usize> = (0..application.objects.len()).filter(|at| application.objects[*at].added).collect();
        match random.u8(0..10) {
            0 | 1 if added.len() < ADDED_MAX => {
                let object = Object { added: true, ..config_map(&format!("{}-added-{serial}", application.name)) };
                let file = (application.path(&object), Some(object.text()));
                application.objects.push(object);
                file
            }
            2 | 3 if !added.is_empty() => {
                let object = application.objects.remove(random.choice(added).unwrap_or_default());
                self.gone.insert(application.key(&object));
                (application.path(&object), None)
            }
            dice => {
                let at = random.usize(0..application.objects.len());
                let object = &mut application.objects[at];
                object.change(dice, serial, random);
                let text = object.text();
                (application.path(&application.objects[at]), Some(text))
            }
        }
    }
}

// === impl Application ===

impl Application {
    fn new(index: usize) -> Self {
        let name = format!("app-{index:04}");
        let mut objects =
            vec![config_map(&format!("{name}-a")), config_map(&format!("{name}-b")), secret(&name), service(&name)];
        if index.is_multiple_of(DEPLOYMENT_EVERY) {
            objects.push(deployment(&name));
        }
        Self {
            name,
            repository: index / APPLICATIONS_PER_REPOSITORY,
            namespace: format!("soak-{:03}", index / APPLICATIONS_PER_NAMESPACE),
            objects,
        }
    }

    pub(super) fn key(&self, object: &Object) -> Key {
        Key { kind: object.kind.name, namespace: self.namespace.clone(), name: object.name.clone() }
    }

    fn path(&self, object: &Object) -> String {
        format!("{}/{}-{}.yaml", self.name, object.kind.plural, object.name)
    }
}

// === impl Object ===

impl Object {
    fn new(kind: &'static Kind, name: &str, rest: Value) -> Self {
        let mut manifest = json!({"apiVersion": kind.api_version(), "kind": kind.name, "metadata": {"name": name}});
        if let (Some(manifest), Value::Object(rest)) = (manifest.as_object_mut(), rest) {
            manifest.extend(rest);
        }
        Self { kind, name: name.to_owned(), manifest, removed: BTreeSet::new(), added: false }
    }

    /// As a file; JSON is YAML.
    fn text(&self) -> String {
        format!("{:#}\n", self.manifest)
    }

    fn change(&mut self, dice: u8, serial: u64, random: &mut Rng) {
        if self.kind.name == DEPLOYMENT.name {
            if dice.is_multiple_of(2) {
                self.manifest["spec"]["replicas"] = json!(random.u8(1..=REPLICAS_MAX));
            }
            self.manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!(serial.to_string());
        } else if self.kind.name == SERVICE.name {
            self.manifest["spec"]["ports"][0]["targetPort"] = json!(8000 + serial % 1000);
        } else if let Some(data) = self.manifest["data"].as_object_mut() {
            // Keys of their own come and go; the one that people edit stays.
            let others: Vec<String> = data.keys().filter(|key| *key != super::kind::VALUE).cloned().collect();
            match dice {
                4 | 5 => {
                    let key = format!("key-{serial}");
                    data.insert(key, json!(base(self.kind, serial)));
                }
                6 | 7 if !others.is_empty() => {
                    if let Some(key) = random.choice(others) {
                        data.remove(&key);
                        self.removed.insert(key);
                    }
                }
                _ => {
                    data.insert(super::kind::VALUE.to_owned(), json!(base(self.kind, serial)));
                }
            }
        }
    }
}

/// A value of the data of a kind: in Secrets any number of four digits is valid base64.
fn base(kind: &Kind, serial: u64) -> String {
    if kind.name == SECRET.name { format!("{serial:08}") } else { format!("value {serial}") }
}

fn config_map(name: &str) -> Object {
    Object::new(&CONFIG_MAP, name, json!({"data": {"value": "first"}}))
}

fn secret(application: &str) -> Object {
    Object::new(&SECRET, &format!("{application}-s"), json!({"type": "Opaque", "data": {"value": "00000000"}}))
}

fn service(application: &str) -> Object {
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]);
    Object::new(
        &SERVICE,
        &format!("{application}-web"),
        json!({"spec": {"selector": {"app": application}, "ports": ports}}),
    )
}

fn deployment(application: &str) -> Object {
    let name = format!("{application}-web");
    let labels = json!({"app": application});
    let container = json!({
        "name": "web", "image": "registry.example/web:1", "env": [{"name": "SERIAL", "value": "0"}],
    });
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    Object::new(&DEPLOYMENT, &name, json!({"spec": spec}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushes(seed: u64, count: usize) -> (Wanted, Vec<Push>) {
        let (mut wanted, mut random) = (Wanted::new(45), Rng::with_seed(seed));
        let pushes = (0..count).map(|_| wanted.push(&mut random)).collect();
        (wanted, pushes)
    }

    #[test]
    fn the_same_seed_makes_the_same_pushes() {
        assert_eq!(pushes(7, 50).1, pushes(7, 50).1);
        assert_ne!(pushes(7, 50).1, pushes(8, 50).1);
    }

    #[test]
    fn pushes_replayed_give_what_is_wanted() {
        let (wanted, pushes) = pushes(1, 400);
        let fresh = Wanted::new(45);
        let mut files: Vec<std::collections::BTreeMap<String, String>> = (0..fresh.repositories())
            .map(|at| fresh.files(at).into_iter().filter_map(|(path, text)| Some((path, text?))).collect())
            .collect();
        for push in pushes {
            for (path, text) in push.files {
                match text {
                    Some(text) => drop(files[push.repository].insert(path, text)),
                    None => assert!(files[push.repository].remove(&path).is_some(), "{path}"),
                }
            }
        }
        for (at, files) in files.into_iter().enumerate() {
            let held: std::collections::BTreeMap<String, String> =
                wanted.files(at).into_iter().filter_map(|(path, text)| Some((path, text?))).collect();
            assert_eq!(files, held);
        }
    }

    #[test]
    fn what_is_gone_is_not_wanted() {
        let (wanted, _) = pushes(3, 400);
        assert!(!wanted.gone.is_empty());
        for application in &wanted.applications {
            for object in &application.objects {
                assert!(!wanted.gone.contains(&application.key(object)), "{object:?}");
                let data = object.manifest["data"].as_object();
                assert!(data.is_none_or(|data| object.removed.iter().all(|key| !data.contains_key(key))));
            }
        }
        let removed = wanted.applications.iter().flat_map(|it| &it.objects).filter(|it| !it.removed.is_empty()).count();
        assert!(removed > 0);
    }
}
