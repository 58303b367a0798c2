//! What stands in a namespace by itself, belonging to no other object. Entry point: [`Cluster::survey`].

use std::sync::Arc;

use trueup_object::ObjectKey;

use crate::Cluster;
use crate::error::ClusterError;
use crate::feed::{Feed, FeedEvent, Form, Sink};
use crate::kind::Kind;

/// An object that belongs to no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The object.
    pub key: ObjectKey,
    /// The application of our installation that claims it.
    pub app: Option<String>,
}

impl Cluster {
    /// Lists the heads of all objects of a kind in a namespace, without spec and status, and answers those that belong to no
    /// other object.
    pub async fn survey(&self, kind: &Kind, namespace: &str) -> Result<Vec<Standing>, ClusterError> {
        let feed = Feed {
            path: self.shared().collection_in(kind, namespace)?,
            plural: kind.plural.clone(),
            labels: None,
            name: None,
            form: Form::Metadata,
            kick: Arc::default(),
        };
        let mut survey = Survey { kind: kind.clone(), installation: self.installation(), standing: Vec::new() };
        feed.list_once(self.requests(), &mut survey).await?;
        Ok(survey.standing)
    }
}

struct Survey {
    kind: Kind,
    installation: Arc<str>,
    standing: Vec<Standing>,
}

impl Sink for Survey {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        match event {
            FeedEvent::Listing => self.standing.clear(),
            FeedEvent::Listed(head, _) if !head.owned() => {
                let key = crate::live::key(&self.kind.gvk, head);
                let app = head.claim(&key, &self.installation).map(|claim| claim.app.to_owned());
                self.standing.push(Standing { key, app });
            }
            _ => {}
        }
        true
    }
}
