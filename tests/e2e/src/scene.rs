//! What one test has for itself in a world: an application's name, a namespace, a repository.

use trueup_bed::ApplicationBuilder;
use trueup_bed::Asked;
use trueup_bed::Deadline;
use trueup_bed::Repository;
use trueup_bed::application;
use trueup_bed::until;

use crate::App;
use crate::NAMESPACE;
use crate::Rest;
use crate::World;
use crate::objects;

/// One test's corner of a world.
pub struct Scene<'a> {
    /// The world.
    pub world: &'a World,
    /// The name of the scene, of its first application and, with `t-` before it, of its namespace.
    pub name: String,
    /// The namespace that its objects go to.
    pub namespace: String,
    /// The namespace that its Applications lie in.
    pub control: String,
    /// Its repository.
    pub repository: Repository,
    /// The administrator, who looks.
    pub admin: Rest,
    /// The one whose changes are drift.
    pub somebody: Rest,
}

impl Scene<'static> {
    /// A scene in the world that all tests share, looked after by the shared controller.
    pub async fn shared(name: &str) -> Self {
        Scene::new(World::shared(), name, NAMESPACE).await
    }
}

impl<'a> Scene<'a> {
    /// A scene in a world, with Applications in a namespace that is made if it is missing.
    pub async fn new(world: &'a World, name: &str, control: &str) -> Self {
        let admin = world.rest("admin").await;
        if admin.get(&format!("{}/{control}", objects("namespaces", ""))).await.is_none() {
            let namespace = serde_json::json!({"metadata": {"name": control}});
            admin.create(&objects("namespaces", ""), &namespace).await;
        }
        Self {
            world,
            name: name.to_owned(),
            namespace: format!("t-{name}"),
            control: control.to_owned(),
            repository: world.git.create(name).unwrap(),
            admin,
            somebody: world.rest("somebody").await,
        }
    }

    /// Commits files, or deletes them, and answers the commit.
    pub fn commit(&self, files: &[(&str, Option<&str>)]) -> String {
        self.repository.commit(files, "a change").unwrap()
    }

    /// Commits one file.
    pub fn put(&self, path: &str, content: &str) -> String {
        self.commit(&[(path, Some(content))])
    }

    /// Begins the scene's application: the directory `app` of its repository, brought to its namespace, which is made.
    pub fn application(&self) -> ApplicationBuilder {
        self.application_named(&self.name)
    }

    /// Begins another application of the scene.
    pub fn application_named(&self, name: &str) -> ApplicationBuilder {
        application(name)
            .namespace(&self.control)
            .repo(self.repository.url())
            .path("app")
            .destination(&self.namespace)
            .sync_option("CreateNamespace=true")
    }

    /// Creates an Application, and answers what to watch it by.
    pub async fn create(&self, built: ApplicationBuilder) -> App {
        let object = built.build();
        self.admin.create(&objects("applications", &self.control), &object).await;
        self.app(object["metadata"]["name"].as_str().unwrap())
    }

    /// An Application that is there, by name.
    pub fn app(&self, name: &str) -> App {
        App::new(self.admin.clone(), &self.control, name)
    }

    /// The path of an object in the scene's namespace.
    pub fn path(&self, plural: &str, name: &str) -> String {
        format!("{}/{name}", objects(plural, &self.namespace))
    }

    /// An object in the scene's namespace, if it is there.
    pub async fn object(&self, plural: &str, name: &str) -> Option<serde_json::Value> {
        self.admin.get(&self.path(plural, name)).await
    }

    /// An object in the scene's namespace, which must be there.
    pub async fn expect(&self, plural: &str, name: &str) -> serde_json::Value {
        self.object(plural, name).await.unwrap_or_else(|| panic!("{plural}/{name} is missing in {}", self.namespace))
    }

    /// The identity of an object in the scene's namespace, which must be there.
    pub async fn uid(&self, plural: &str, name: &str) -> String {
        self.expect(plural, name).await["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a value of an object is this, given by its JSON pointer.
    pub async fn until_value(&self, plural: &str, name: &str, pointer: &str, wanted: impl Into<serde_json::Value>) {
        let wanted = wanted.into();
        let what = format!("{plural}/{name} to have {wanted} at {pointer}");
        until(what, crate::SLOW, async || {
            let object = self.object(plural, name).await.ok_or_else(|| "not there".to_owned())?;
            match object.pointer(pointer) {
                Some(value) if *value == wanted => Ok(()),
                other => Err(format!("{other:?}; {}", self.app(&self.name).brief().await)),
            }
        })
        .await
        .unwrap();
    }

    /// Waits until the refs of the repository have been listed so often.
    pub async fn listed(&self, times: usize) {
        until("further listings of refs", Deadline::LONG, async || {
            let asked = self.repository.asked(Asked::LsRefs);
            if asked >= times { Ok(()) } else { Err(asked) }
        })
        .await
        .unwrap();
    }

    /// Waits until an object is no more.
    pub async fn until_gone(&self, plural: &str, name: &str) {
        trueup_bed::until(format!("{plural}/{name} to go"), crate::SLOW, async || {
            match self.object(plural, name).await {
                None => Ok(()),
                Some(_) => Err(self.app(&self.name).brief().await),
            }
        })
        .await
        .unwrap();
    }

    /// Changes an object by hand, as `kubectl edit` does.
    pub async fn edit(&self, plural: &str, name: &str, patch: &serde_json::Value) {
        self.somebody.merge(&self.path(plural, name), "kubectl-edit", patch).await;
    }

    /// Changes the scene's namespace by hand.
    pub async fn edit_namespace(&self, patch: &serde_json::Value) {
        let path = format!("{}/{}", objects("namespaces", ""), self.namespace);
        self.somebody.merge(&path, "kubectl-edit", patch).await;
    }

    /// The Events on one of the scene's applications, as `reason: message`.
    pub async fn events(&self, application: &str) -> Vec<String> {
        let events = self.admin.list(&objects("events", &self.control)).await;
        let of = |event: &&serde_json::Value| {
            event["involvedObject"]["kind"] == "Application" && event["involvedObject"]["name"] == application
        };
        let line = |event: &serde_json::Value| {
            format!(
                "{}: {}",
                event["reason"].as_str().unwrap_or_default(),
                event["message"].as_str().unwrap_or_default()
            )
        };
        events.iter().filter(of).map(line).collect()
    }

    /// Waits for an Event on an application whose `reason: message` contains all of these words.
    pub async fn until_event(&self, application: &str, words: &[&str]) -> String {
        trueup_bed::until(format!("an Event with {words:?}"), crate::SLOW, async || {
            let events = self.events(application).await;
            let found = events.iter().find(|event| words.iter().all(|word| event.contains(word))).cloned();
            found.ok_or(events)
        })
        .await
        .unwrap()
    }
}
