//! One case: an object from its first apply to its last.

use serde_json::Value;
use serde_json::json;
use trueup_cluster::Apply;
use trueup_cluster::ClusterError;
use trueup_cluster::Kind;
use trueup_diff::Comparison;
use trueup_diff::Former;
use trueup_diff::Input;
use trueup_diff::Projection;
use trueup_diff::Schema;
use trueup_diff::What;
use trueup_diff::compare;
use trueup_diff::takeover;
use trueup_diff::to_send;
use trueup_diff::without_duplicates;
use trueup_e2e::Random;
use trueup_object::Node;
use trueup_render::Target;

use crate::Tally;
use crate::bench::Bench;
use crate::bench::Known;
use crate::bench::NAMESPACE;
use crate::bench::path;
use crate::change;
use crate::change::Place;
use crate::seeds::Seed;
use crate::shape::Shape;

/// How many objects are tried until the server takes one.
const TRIES: usize = 6;
/// How many leaves are changed by hand in each case, of those that Git sets and of those that it does not.
const CHANGES: usize = 3;
/// Who changes by hand.
const HAND: &str = "kubectl-edit";

type Outcome<T = ()> = Result<T, String>;

/// An object in the cluster, and what it was made of.
struct Subject<'a> {
    bench: &'a Bench,
    known: &'a Known,
    shape: Shape<'a>,
    path: String,
    /// What Git says.
    manifest: Value,
    target: Target,
    /// What Git said at the last successful sync.
    base: Option<Node>,
    projection: Option<Projection>,
}

/// Tries all laws on one object.
pub(crate) async fn run(bench: &Bench, seed: &Seed, number: usize, random: &mut Random, tally: &mut Tally) -> Outcome {
    let known = &bench.kinds[seed.kind];
    let gvk = &known.kind.gvk;
    let shape = Shape::of(&known.document, &gvk.group, &gvk.version, &gvk.kind).ok_or("its schema is missing")?;
    let name = format!("law-{number}");
    let mut story = Vec::new();
    let outcome = async {
        let Some(mut subject) = make(bench, seed, known, shape, &name, random, tally, &mut story).await? else {
            return Err("the server takes none of its objects".to_owned());
        };
        for _ in 0..CHANGES {
            subject.change_what_git_sets(random, tally, &mut story).await?;
        }
        for _ in 0..CHANGES {
            subject.change_what_git_leaves(random, tally, &mut story).await?;
        }
        subject.drop_something(random, tally, &mut story).await
    };
    let outcome = outcome.await;
    bench.somebody.delete(&path(&known.kind, &name)).await;
    outcome.map_err(|why| format!("{why}\n  after {story:#?}"))
}

/// Makes an object of a seed by random changes that the server takes, and applies it: law 1.
#[expect(clippy::too_many_arguments, reason = "the parts of a case, which has only one beginning")]
async fn make<'a>(
    bench: &'a Bench,
    seed: &Seed,
    known: &'a Known,
    shape: Shape<'a>,
    name: &str,
    random: &mut Random,
    tally: &mut Tally,
    story: &mut Vec<String>,
) -> Outcome<Option<Subject<'a>>> {
    for attempt in 0..TRIES {
        let mut manifest: Value = serde_json::from_str(seed.body).unwrap();
        manifest["apiVersion"] = json!(seed.api_version);
        manifest["kind"] = json!(seed.kind);
        manifest["metadata"]["name"] = json!(name);
        story.clear();
        // The last try is the seed itself.
        let changes = if attempt + 1 == TRIES { 0 } else { random.below(4) };
        for _ in 0..changes {
            story.push(format!("made with {}", change::mutate(&mut manifest, shape, random)));
        }
        let Ok(target) = bench.target(&manifest) else {
            tally.count("refused before sending: an object");
            continue;
        };
        let path = path(&known.kind, name);
        let mut subject = Subject { bench, known, shape, path, manifest, target, base: None, projection: None };
        match subject.apply().await {
            Ok(answer) => {
                subject.law_of_apply(&answer)?;
                tally.count("applied");
                return Ok(Some(subject));
            }
            Err(error @ (ClusterError::Refused { .. } | ClusterError::TooLarge { .. })) => {
                tally.count("refused: an object");
                if attempt + 1 == TRIES {
                    return Err(format!("the seed itself is refused: {error}"));
                }
            }
            Err(error) => return Err(format!("apply: {error}")),
        }
    }
    Ok(None)
}

impl Subject<'_> {
    fn kind(&self) -> &Kind {
        &self.known.kind
    }

    fn desired(&self) -> &Node {
        self.target.manifest.node()
    }

    /// Applies, again if a controller changed the object meanwhile.
    async fn apply(&mut self) -> Result<Node, ClusterError> {
        for _ in 1..TRIES {
            match self.apply_once().await {
                Err(ClusterError::Conflict) => {}
                outcome => return outcome,
            }
        }
        self.apply_once().await
    }

    /// Applies as the product does: with what must be taken over first, and with duplicates reduced where they hinder.
    async fn apply_once(&mut self) -> Result<Node, ClusterError> {
        let cluster = &self.bench.cluster;
        let live = cluster.fetch(self.kind(), &self.target.key).await?;
        let mut before = live.as_ref().map(|live| live.node());
        if let (Some(live), Some(node)) = (&live, &before) {
            let removes = self.judge(node, None, true).differences.iter().any(|found| found.what == What::Extra);
            let fields = removes
                .then(|| {
                    takeover(self.desired(), self.base.as_ref(), node, &Schema::unknown(), Former::default(), false)
                })
                .flatten();
            if let Some(fields) = fields {
                let (key, version) = (&self.target.key, &live.resource_version);
                let taken = cluster.patch_managed_fields(self.kind(), key, version, &fields).await?;
                before = Some(taken.node());
            }
        }
        let body = to_send(self.desired(), before.as_ref(), &[]);
        let (body, _) = without_duplicates(&body, before.as_ref(), &Schema::unknown());
        let how = || Apply { dry_run: false, resource_version: None, validate: true };
        let answer = match cluster.apply(self.kind(), &body, how()).await {
            Err(ClusterError::Refused { message, .. }) if message.contains("duplicate entries for key") => {
                let (body, _) = without_duplicates(&body, None, &self.known.schema);
                cluster.apply(self.kind(), &body, how()).await?
            }
            answer => answer?,
        };
        let node = answer.node();
        self.projection = Some(Projection::from_answer(self.desired(), &node, &self.known.schema));
        Ok(node)
    }

    /// Compares as the product does: without a schema first, and with it if that is wanted.
    fn judge(&self, live: &Node, projection: Option<&Projection>, pending: bool) -> Comparison {
        let unknown = Schema::unknown();
        let input = Input {
            base: self.base.as_ref(),
            projection,
            built_in: !self.kind().gvk.group.contains("example"),
            pending,
            ..Input::plain(self.desired(), live, &unknown)
        };
        let first = compare(&input);
        if first.needs_schema { compare(&Input { schema: &self.known.schema, ..input }) } else { first }
    }

    /// Law 1: what was applied is in line; and what is not without the server's word is at least in doubt.
    fn law_of_apply(&mut self, answer: &Node) -> Outcome {
        self.base = Some(self.desired().clone());
        let alone = self.judge(answer, None, false);
        if let Some(certain) = alone.differences.iter().find(|found| !found.doubtful) {
            return Err(format!("what was just applied differs for certain: {}", told(certain)));
        }
        let comparison = self.judge(answer, self.projection.as_ref(), false);
        if comparison.in_line() { Ok(()) } else { Err(format!("what was just applied differs: {}", all(&comparison))) }
    }

    /// What a dry run makes of it: the answer, and whether that is what is there already.
    async fn ask(&self, live: &Node) -> Result<(Node, bool), ClusterError> {
        let body = to_send(self.desired(), Some(live), &[]);
        let (body, _) = without_duplicates(&body, None, &self.known.schema);
        let how = Apply { dry_run: true, resource_version: None, validate: true };
        let answer = self.bench.cluster.apply(self.kind(), &body, how).await?.node();
        let equal = change::bare(&value(&answer)) == change::bare(&value(live));
        Ok((answer, equal))
    }

    /// Law 4: the verdict is the server's, asked for only where it is in doubt. Answers the verdict, or nothing if the
    /// server refuses Git's manifest over what is there: then at least it must not be in line.
    async fn law_of_agreement(&self, live: &Node, tally: &mut Tally) -> Outcome<Option<Comparison>> {
        let (answer, server) = match self.ask(live).await {
            Ok(asked) => asked,
            Err(ClusterError::Refused { message, .. }) => {
                tally.count("refused: healing");
                let verdict = self.judge(live, self.projection.as_ref(), false);
                let wrong = format!("in line, but an apply is refused: {message}");
                return if verdict.in_line() { Err(wrong) } else { Ok(None) };
            }
            Err(error) => return Err(format!("dry run: {error}")),
        };
        let mut verdict = self.judge(live, self.projection.as_ref(), false);
        if verdict.differences.iter().any(|found| !found.doubtful) && server {
            return Err(format!("certain, but the server sees no difference: {}", all(&verdict)));
        }
        if verdict.doubtful() {
            tally.count("in doubt: asked");
            let learnt = Projection::from_answer(self.desired(), &answer, &self.known.schema);
            verdict = self.judge(live, Some(&learnt), false);
        }
        if verdict.in_line() == server {
            tally.count("agreed");
            return Ok(Some(verdict));
        }
        Err(format!("the verdict is {}, but an apply would change {:?}", all(&verdict), changes(live, &answer)))
    }

    async fn live(&self) -> Node {
        let live = self.bench.cluster.fetch(self.kind(), &self.target.key).await.unwrap();
        live.expect("it was there a moment ago").node()
    }

    /// Changes one place by hand. Nothing if the server refuses or undoes it.
    async fn by_hand(&self, place: &Place, remove: bool, random: &mut Random, story: &mut Vec<String>) -> Option<Node> {
        let before = value(&self.live().await);
        let was = before.pointer(&place.pointer)?.clone();
        let operation = if remove {
            json!([{"op": "remove", "path": place.pointer}])
        } else {
            let other = change::other(&was, &place.leaf, random);
            json!([{"op": "replace", "path": place.pointer, "value": other}])
        };
        match self.bench.somebody.try_json_patch(&self.path, HAND, &operation).await {
            Ok(_) => {
                story.push(format!("by hand {operation}, was {was}"));
                let after = self.live().await;
                (change::bare(&value(&after)) != change::bare(&before)).then_some(after)
            }
            Err(_) => None,
        }
    }

    /// Laws 2 and 4, and that an apply heals.
    async fn change_what_git_sets(
        &mut self,
        random: &mut Random,
        tally: &mut Tally,
        story: &mut Vec<String>,
    ) -> Outcome {
        let live = value(&self.live().await);
        let desired = value(self.desired());
        let mut places = change::leaves(&desired, self.shape);
        places.retain(|place| {
            lists_agree(&live, &desired, &place.pointer)
                && live
                    .pointer(&place.pointer)
                    .is_some_and(|there| there == &desired.pointer(&place.pointer).cloned().unwrap_or_default())
        });
        let Some(place) = random.choose(&places).cloned() else { return Ok(()) };
        let remove = random.below(4) == 0;
        let Some(after) = self.by_hand(&place, remove, random, story).await else {
            tally.count("refused: a change of what Git sets");
            return Ok(());
        };
        let Some(verdict) = self.law_of_agreement(&after, tally).await? else { return self.make_anew().await };
        if value(&after).pointer(&place.pointer) == live.pointer(&place.pointer) {
            tally.count("moved elsewhere by the server: a change of what Git sets");
        } else {
            tally.count(if remove {
                "set by Git, removed by hand: named"
            } else {
                "set by Git, changed by hand: named"
            });
            let named = verdict.differences.iter().any(|found| change::covers(&found.pointer, &place.pointer));
            if !named {
                return Err(format!("{} was changed by hand and is not named: {}", place.pointer, all(&verdict)));
            }
        }
        match self.apply().await {
            Ok(answer) => self.law_of_apply(&answer).map_err(|why| format!("after healing, {why}")),
            Err(error) => Err(format!("healing: {error}")),
        }
    }

    /// Begins again after a change that an apply cannot undo.
    async fn make_anew(&mut self) -> Outcome {
        self.bench.somebody.delete(&self.path).await;
        (self.base, self.projection) = (None, None);
        let answer = self.apply().await.map_err(|error| format!("made anew: {error}"))?;
        self.law_of_apply(&answer)
    }

    /// Laws 3 and 4.
    async fn change_what_git_leaves(
        &mut self,
        random: &mut Random,
        tally: &mut Tally,
        story: &mut Vec<String>,
    ) -> Outcome {
        let live = value(&self.live().await);
        let desired = value(self.desired());
        let mut places = change::leaves(&live, self.shape);
        places.retain(|place| desired.pointer(&place.pointer).is_none());
        let added = random.below(2) == 0 || places.is_empty();
        let after = if added {
            let map = ["labels", "annotations"][random.below(2)];
            let key = format!("by-hand-{}", random.below(1000));
            let patch = json!({"metadata": {map: {&key: "x"}}});
            story.push(format!("by hand {patch}"));
            self.bench.somebody.merge(&self.path, HAND, &patch).await;
            Some(self.live().await)
        } else {
            let place = random.choose(&places).cloned().ok_or("nothing to choose")?;
            self.by_hand(&place, false, random, story).await
        };
        let Some(after) = after else {
            tally.count("refused: a change of what Git does not set");
            return Ok(());
        };
        let Some(verdict) = self.law_of_agreement(&after, tally).await? else { return self.make_anew().await };
        if verdict.in_line() {
            tally.count("not set by Git, changed by hand: in line");
        } else if added {
            return Err(format!("an added label or annotation is no difference: {}", all(&verdict)));
        } else {
            // Inside an atomic value, or what the server derives from another leaf: the server agreed that it differs.
            tally.count("not set by Git, but part of what is: named");
            let answer = self.apply().await.map_err(|error| format!("healing: {error}"))?;
            self.law_of_apply(&answer)?;
        }
        Ok(())
    }

    /// Law 5, in the ways in which a leaf could live on.
    async fn drop_something(&mut self, random: &mut Random, tally: &mut Tally, story: &mut Vec<String>) -> Outcome {
        let places = change::places(&self.manifest, self.shape);
        let Some(pointer) = random.choose(&places).cloned() else { return Ok(()) };
        let mut manifest = self.manifest.clone();
        change::take(&mut manifest, &pointer);
        let Ok(target) = self.bench.target(&manifest) else {
            tally.count("refused before sending: a drop");
            return Ok(());
        };
        let way = random.below(3);
        match way {
            1 => self.edit_and_revert(random, story).await,
            2 => {
                story.push("managedFields reset".to_owned());
                self.bench.somebody.merge(&self.path, HAND, &json!({"metadata": {"managedFields": [{}]}})).await;
            }
            _ => {}
        }
        story.push(format!("dropped {pointer}"));
        let earlier = std::mem::replace(&mut self.target, target);
        self.manifest = manifest;
        // What the server made of the earlier manifest says nothing of this one.
        self.projection = None;
        let live = self.live().await;
        let verdict = self.judge(&live, None, true);
        let changed = earlier.digest != self.target.digest;
        match self.apply().await {
            Ok(answer) => {
                if changed && verdict.in_line() && change::bare(&value(&answer)) != change::bare(&value(&live)) {
                    return Err(format!(
                        "{pointer} was dropped, nothing was named, and yet the apply changed something"
                    ));
                }
                self.gone(&earlier, &live, &answer)?;
                self.law_of_apply(&answer).map_err(|why| format!("after the drop, {why}"))?;
                self.law_of_the_last_apply(&answer).await?;
                tally.count(
                    ["dropped", "dropped after an edit and its revert", "dropped after a reset of managedFields"][way],
                );
            }
            Err(ClusterError::Refused { .. }) => tally.count("refused: a drop"),
            Err(error) => return Err(format!("apply: {error}")),
        }
        Ok(())
    }

    /// An apply of what was just applied changes nothing.
    ///
    /// The server forgets an empty map or list whose last content goes with an apply, and stores it, or refuses it, at the
    /// next one: seen, and the same object to everybody.
    async fn law_of_the_last_apply(&self, answer: &Node) -> Outcome {
        let again = match self.ask(answer).await {
            Ok((again, _)) => again,
            Err(ClusterError::Refused { .. }) if has_empty(&value(self.desired())) => return Ok(()),
            Err(error) => return Err(format!("dry run: {error}")),
        };
        let empty = |change: &String| change.ends_with("null → {}") || change.ends_with("null → []");
        let changes: Vec<String> = changes(answer, &again).into_iter().filter(|change| !empty(change)).collect();
        if changes.is_empty() { Ok(()) } else { Err(format!("another apply after the drop would change {changes:?}")) }
    }

    /// Whatever Git no longer has is gone, unless the server gives it by itself: what a create without it would have.
    fn gone(&self, earlier: &Target, before: &Node, after: &Node) -> Outcome {
        let (before, after) = (value(before), value(after));
        let (had, has) = (value(earlier.manifest.node()), value(self.desired()));
        for map in
            ["/metadata/labels", "/metadata/annotations", "/data", "/binaryData", "/spec/selector", "/spec/granular"]
        {
            let keys = had.pointer(map).and_then(Value::as_object).map(|map| map.keys().cloned().collect::<Vec<_>>());
            for key in keys.unwrap_or_default() {
                let pointer = format!("{map}/{}", change::escaped(&key));
                let lives = has.pointer(&pointer).is_none() && after.pointer(&pointer).is_some();
                if lives && after.pointer(&pointer) == before.pointer(&pointer) {
                    return Err(format!("{pointer} went from Git and lives on in {NAMESPACE}"));
                }
            }
        }
        Ok(())
    }

    /// Somebody changes a leaf and changes it back: the value is ours, the ownership is not.
    async fn edit_and_revert(&self, random: &mut Random, story: &mut Vec<String>) {
        let before = value(&self.live().await);
        let desired = value(self.desired());
        let places = change::leaves(&desired, self.shape);
        let Some(place) = random.choose(&places).cloned() else { return };
        let Some(was) = before.pointer(&place.pointer).cloned() else { return };
        if self.by_hand(&place, false, random, story).await.is_some() {
            let back = json!([{"op": "replace", "path": place.pointer, "value": was}]);
            if self.bench.somebody.try_json_patch(&self.path, HAND, &back).await.is_ok() {
                story.push("and back".to_owned());
            }
        }
    }
}

fn value(node: &Node) -> Value {
    serde_json::from_slice(&node.to_json()).unwrap()
}

fn told(found: &trueup_diff::Difference) -> String {
    format!(
        "{} ({:?}, doubtful {}): Git {:?}, live {:?}",
        found.pointer,
        found.what,
        found.doubtful,
        found.desired.as_ref().map(ToString::to_string),
        found.live.as_ref().map(ToString::to_string)
    )
}

fn all(comparison: &Comparison) -> String {
    if comparison.in_line() {
        return "in line".to_owned();
    }
    comparison.differences.iter().map(told).collect::<Vec<_>>().join("; ")
}

/// Whether a pointer means the same items in both: foreign items may have come into a list of live.
fn lists_agree(live: &Value, desired: &Value, pointer: &str) -> bool {
    let ends = pointer.match_indices('/').map(|(at, _)| at).chain([pointer.len()]);
    ends.map(|end| &pointer[..end]).all(|parent| match (live.pointer(parent), desired.pointer(parent)) {
        (Some(Value::Array(live)), Some(Value::Array(desired))) => live.len() == desired.len(),
        _ => true,
    })
}

/// Whether there is an empty map or list somewhere inside.
fn has_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty() || fields.values().any(has_empty),
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        _ => false,
    }
}

/// What differs between two states of an object.
fn changes(one: &Node, other: &Node) -> Vec<String> {
    let mut changes = Vec::new();
    differences(&change::bare(&value(one)), &change::bare(&value(other)), "", &mut changes);
    changes
}

/// The places where two values differ.
fn differences(one: &Value, other: &Value, pointer: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let (one, other) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                differences(one, other, &format!("{pointer}/{key}"), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                differences(one, other, &format!("{pointer}/{at}"), found);
            }
        }
        (one, other) if one != other => found.push(format!("{pointer}: {one} → {other}")),
        _ => {}
    }
}
