//! Manifests of this machine for a sync, instead of those in Git. Entry point: [`read`].
//!
//! They travel inside the Application, which everybody who may read Applications sees, and which etcd must take: what would be
//! shown or refused there is refused here, before anything is sent.

use std::path::Path;

use trueup_api::{MANIFESTS_BYTES_MAX, SyncResource, manifests_bytes};
use trueup_object::{Manifest, ObjectKey};
use trueup_render::Rendered;

use crate::command_error::{CommandError, user_error};
use crate::commands::app::diff::wanted::{self, Whose};
use crate::credentials::Logins;
use crate::output::talk;

/// How many objects an error names.
const NAMED_MAX: usize = 5;

/// What is sent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Local {
    /// An object each.
    pub(crate) manifests: Vec<String>,
    /// What they are called.
    pub(crate) objects: Vec<SyncResource>,
}

/// Reads a directory that stands for the Application's path.
pub(crate) async fn read(logins: Logins<'_>, whose: Whose<'_>, dir: &Path) -> Result<Local, CommandError> {
    let rendered = wanted::on_disk(logins, whose, dir).await?;
    for warning in &rendered.warnings {
        talk::warning(warning);
    }
    sendable(&rendered, dir)
}

fn sendable(rendered: &Rendered, dir: &Path) -> Result<Local, CommandError> {
    let dir = dir.display();
    if rendered.manifests.is_empty() {
        return Err(user_error(format!("'{dir}' has no manifests")));
    }
    let keys: Vec<ObjectKey> = rendered.manifests.iter().map(Manifest::key).collect();
    let secrets: Vec<String> =
        keys.iter().filter(|key| key.group.is_empty() && &*key.kind == "Secret").map(ToString::to_string).collect();
    if !secrets.is_empty() {
        let named = secrets.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        let more = secrets.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(user_error(format!(
            "not sent: '{dir}' has {named}{more}, which everybody would see who may read Applications"
        ))
        .hinted("leave Secrets out of the directory: kubectl apply brings them as well"));
    }
    let manifests: Vec<String> = rendered
        .manifests
        .iter()
        .map(|manifest| String::from_utf8_lossy(&manifest.node().to_json()).into_owned())
        .collect();
    let bytes = manifests_bytes(&manifests);
    if bytes > MANIFESTS_BYTES_MAX {
        return Err(user_error(format!(
            "not sent: the manifests in '{dir}' are {} KiB, and an Application takes {} KiB",
            bytes.div_ceil(1024),
            MANIFESTS_BYTES_MAX / 1024
        ))
        .hinted("push them to a branch: trueup app sync NAME --revision BRANCH"));
    }
    let object = |key: &ObjectKey| SyncResource {
        group: key.group.to_string(),
        kind: key.kind.to_string(),
        name: key.name.to_string(),
        namespace: key.namespace.to_string(),
    };
    Ok(Local { manifests, objects: keys.iter().map(object).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(texts: &[String]) -> Result<Local, String> {
        let rendered = trueup_render::of_texts(texts).unwrap();
        sendable(&rendered, Path::new("dir")).map_err(|error| error.error.to_string())
    }

    #[test]
    fn each_object_is_a_text() {
        let text = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop}}\n";
        let local = sent(&[text.to_owned()]).unwrap();
        assert_eq!(local.manifests.len(), 2);
        assert_eq!(trueup_render::of_texts(&local.manifests).unwrap().manifests.len(), 2);
        let named: Vec<(&str, &str)> =
            local.objects.iter().map(|object| (object.namespace.as_str(), object.name.as_str())).collect();
        assert_eq!(named, [("", "a"), ("shop", "b")]);
    }

    #[test]
    fn what_everybody_would_see_is_not_sent() {
        let secret =
            "{apiVersion: v1, kind: Secret, metadata: {name: login, namespace: shop}, stringData: {a: hunter2}}";
        let refused = sent(&[secret.to_owned()]).unwrap_err();
        assert!(refused.contains("Secret shop/login") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn what_an_application_cannot_hold_is_not_sent() {
        let text = |bytes: usize| {
            let data = "x".repeat(bytes);
            format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{a: {data}}}}}")
        };
        assert!(sent(&[text(MANIFESTS_BYTES_MAX / 2)]).is_ok());
        let refused =
            sent(&[text(MANIFESTS_BYTES_MAX / 2), text(MANIFESTS_BYTES_MAX / 2).replace("name: a", "name: b")])
                .unwrap_err();
        assert!(refused.contains("are 601 KiB, and an Application takes 600 KiB"), "{refused}");
        assert_eq!(sent(&[]).unwrap_err(), "'dir' has no manifests");
    }
}
