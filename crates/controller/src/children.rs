//! Child Applications, as the sync of the application that brings them goes by them.
//!
//! Keeps nothing. Entry point: [`Child::of`].

use std::collections::HashSet;
use std::sync::Arc;

use trueup_api::Application;
use trueup_health::{Code, Health, unsettled};
use trueup_object::{Digest, Node, ObjectKey};

use crate::depends::{behind, instance};
use crate::observe::View;
use crate::world::World;

/// A child Application as its parent's sync goes by it: its status alone may be about an older commit, and what was seen of it
/// may be older than the status that we wrote.
pub(crate) struct Child(Arc<Application>);

impl Child {
    /// The child that an object is, if we look after it.
    pub(crate) fn of(world: &World, key: &ObjectKey) -> Option<Self> {
        is_application(key)
            .then(|| world.applications.get(&instance(&key.namespace, &key.name, &world.namespace)))?
            .map(Self)
    }

    /// What its health is made from, besides the object.
    pub(crate) fn cause(&self, world: &World) -> String {
        let (meta, spec) = (&self.0.meta, self.0.spec.as_ref().ok());
        let tip = spec.and_then(|spec| world.known_tips(&meta.instance, spec));
        format!("{} {tip:?} {:?}", meta.resource_version, world.depends.end(&meta.instance))
    }

    /// Its health, of which the object itself says `said`.
    pub(crate) fn health(&self, world: &World, object: &Node, said: Health) -> Health {
        // One that nobody looks at never gets any further.
        if said.code == Code::Progressing || self.0.meta.skip_reconcile() {
            return said;
        }
        let empty = Node::map();
        let spec = Digest::of(&object.at(&["spec"]).unwrap_or(&empty).to_json());
        match unsettled(&self.0).or_else(|| behind(world, &self.0, spec)) {
            Some(why) => Health::new(Code::Progressing, why),
            None => said,
        }
    }
}

/// The children that Git has.
pub(crate) fn keys(view: &View) -> HashSet<ObjectKey> {
    view.targets.objects.iter().map(|target| &target.key).filter(|key| is_application(key)).cloned().collect()
}

/// Whether an object of an application is that very Application: its health is made from that of the others.
pub(crate) fn is_itself(world: &World, app: &str, key: &ObjectKey) -> bool {
    is_application(key) && instance(&key.namespace, &key.name, &world.namespace) == app
}

fn is_application(key: &ObjectKey) -> bool {
    key.group == "argoproj.io" && key.kind == "Application"
}
