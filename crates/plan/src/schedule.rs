//! Tasks become steps: what can be done side by side, in the order in which it must be done.
//!
//! Keeps nothing. Invariants: every task is in exactly one step, whatever the order and number of times it was given, and
//! nothing is pruned that is applied. Entry points: [`schedule`], and [`prune_order`] where everything goes.

use std::collections::{BTreeMap, HashMap, HashSet};

use trueup_api::HookPhase;
use trueup_object::{GroupKind, ObjectKey};

use crate::order::{self, Tier};
use crate::task::{Act, Task};

/// What can be done side by side. Each step begins when the one before is done; where the stage changes, when that is
/// healthy too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where in the sync.
    pub stage: Stage,
    /// What is done.
    pub tasks: Vec<Task>,
}

/// A wave of a phase, or what goes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// The phase.
    pub phase: HookPhase,
    /// What is done in it.
    pub part: Part,
    /// The place among its like: the wave; of prunes, the wave from the highest to the lowest.
    place: i64,
}

/// What is done in a phase, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Objects are applied, hooks run.
    Make,
    /// Objects are deleted.
    Prune,
    /// Objects are deleted that go last.
    PruneLast,
}

/// Orders a sync: phases, in them waves, in those what others need before what needs it; then prunes the other way round.
///
/// Objects of a kind that one of the CustomResourceDefinitions brings come after it, and what lives in a namespace after
/// that, whatever their waves say, as upstream. Upstream prunes before it applies; here nothing is taken away before what
/// replaces it is there.
pub fn schedule(tasks: Vec<Task>) -> Vec<Step> {
    let made: HashSet<ObjectKey> = tasks.iter().filter(|task| !is_prune(task)).map(|task| task.key.clone()).collect();
    let mut unique: HashMap<(HookPhase, ObjectKey), Task> = HashMap::new();
    for task in tasks {
        if !(is_prune(&task) && made.contains(&task.key)) {
            unique.insert((task.phase, task.key.clone()), task);
        }
    }
    let mut tasks: Vec<Task> = unique.into_values().collect();
    adopt(&mut tasks);
    let brought: HashSet<GroupKind> = tasks.iter().filter_map(|task| task.defines.clone()).collect();
    let pruned_groups = groups_of_definitions(tasks.iter().filter(|task| is_prune(task)).map(|task| &task.key));
    let mut steps: BTreeMap<(Stage, Place), Vec<Task>> = BTreeMap::new();
    for task in tasks {
        let place = if is_prune(&task) {
            Place::Reversed(std::cmp::Reverse(tier(&task.key, pruned_groups.contains(task.key.group.as_str()))))
        } else {
            Place::Forward(tier(&task.key, brought.contains(&task.gvk.group_kind())))
        };
        steps.entry((stage(&task), place)).or_default().push(task);
    }
    let sorted = |mut tasks: Vec<Task>| {
        tasks.sort_by(|a, b| order::within(&a.key, &b.key));
        tasks
    };
    steps.into_iter().map(|((stage, _), tasks)| Step { stage, tasks: sorted(tasks) }).collect()
}

/// The order in which everything goes: groups of what can go side by side, the highest wave first. Each begins when the one
/// before is gone.
pub fn prune_order(objects: impl IntoIterator<Item = (ObjectKey, i64)>) -> Vec<Vec<ObjectKey>> {
    let objects: HashMap<ObjectKey, i64> = objects.into_iter().collect();
    let groups = groups_of_definitions(objects.keys());
    let mut order: BTreeMap<_, Vec<ObjectKey>> = BTreeMap::new();
    for (key, wave) in &objects {
        let tier = tier(key, groups.contains(key.group.as_str()));
        order.entry(std::cmp::Reverse((*wave, tier))).or_default().push(key.clone());
    }
    let sorted = |mut keys: Vec<ObjectKey>| {
        keys.sort_by(order::within);
        keys
    };
    order.into_values().map(sorted).collect()
}

/// The place of a step in its stage.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Forward(Tier),
    Reversed(std::cmp::Reverse<Tier>),
}

fn is_prune(task: &Task) -> bool {
    matches!(task.act, Act::Prune { .. })
}

fn stage(task: &Task) -> Stage {
    let (part, place) = match task.act {
        Act::Apply | Act::Hook => (Part::Make, task.wave),
        Act::Prune { last: false } => (Part::Prune, task.wave.saturating_neg()),
        Act::Prune { last: true } => (Part::PruneLast, task.wave.saturating_neg()),
    };
    Stage { phase: task.phase, part, place }
}

/// A namespace goes where the first object lives in it, and a definition where the first object is of its kind.
fn adopt(tasks: &mut [Task]) {
    let when = |task: &Task| (task.phase, task.wave);
    let mut namespaces: HashMap<String, (HookPhase, i64)> = HashMap::new();
    let mut kinds: HashMap<GroupKind, (HookPhase, i64)> = HashMap::new();
    for task in tasks.iter().filter(|task| !is_prune(task)) {
        let first = |known: &mut (HookPhase, i64)| *known = (*known).min(when(task));
        namespaces.entry(task.key.namespace.to_string()).and_modify(first).or_insert_with(|| when(task));
        kinds.entry(task.gvk.group_kind()).and_modify(first).or_insert_with(|| when(task));
    }
    for task in tasks.iter_mut().filter(|task| task.act == Act::Apply) {
        let first = match &task.defines {
            Some(kind) => kinds.get(kind),
            None if is_namespace(&task.key) => namespaces.get(task.key.name.as_str()),
            None => None,
        };
        if let Some(first) = first.filter(|first| **first < when(task)) {
            (task.phase, task.wave) = *first;
        }
    }
}

fn is_namespace(key: &ObjectKey) -> bool {
    key.kind == "Namespace" && key.group.is_empty()
}

/// The groups whose definitions go. The name of a CustomResourceDefinition ends in the group of its kind.
fn groups_of_definitions<'a>(keys: impl Iterator<Item = &'a ObjectKey>) -> HashSet<String> {
    let definitions = keys.filter(|key| key.kind == "CustomResourceDefinition");
    definitions.filter_map(|key| Some(key.name.split_once('.')?.1.to_owned())).collect()
}

/// The tier of an object; one whose kind is brought by a CustomResourceDefinition of the same sync stands above that.
fn tier(key: &ObjectKey, brought: bool) -> Tier {
    let tier = order::tier(key);
    if brought { tier.max(Tier::Dependants) } else { tier }
}

// === impl Stage ===

impl Stage {
    /// Whether everything of this stage has to be there and healthy before the other, which follows it, begins.
    pub fn holds_up(self, next: Self) -> bool {
        self != next && !(self.part == Part::Make && next.part == Part::Prune && self.phase == next.phase)
    }

    /// The wave, as people write it.
    pub fn wave(self) -> i64 {
        if self.part == Part::Make { self.place } else { self.place.saturating_neg() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trueup_object::Gvk;

    use super::*;

    fn key(text: &str) -> ObjectKey {
        let parts: Vec<&str> = text.split('/').collect();
        ObjectKey::new(parts[0], parts[1], parts[2], parts[3])
    }

    fn apply(text: &str) -> Task {
        let key = key(text);
        let gvk = Gvk { group: key.group.clone(), version: "v1".into(), kind: key.kind.clone() };
        Task { gvk, key, phase: HookPhase::Sync, wave: 0, act: Act::Apply, defines: None }
    }

    fn prune(text: &str) -> Task {
        Task { act: Act::Prune { last: false }, ..apply(text) }
    }

    fn hook(text: &str, phase: HookPhase, wave: i64) -> Task {
        Task { act: Act::Hook, phase, wave, ..apply(text) }
    }

    fn in_wave(wave: i64, task: Task) -> Task {
        Task { wave, ..task }
    }

    fn definition(name: &str, group: &str, kind: &str) -> Task {
        let defines = Some(GroupKind::new(group, kind));
        Task { defines, ..apply(&format!("apiextensions.k8s.io/CustomResourceDefinition//{name}")) }
    }

    fn words(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| {
                let names = step.tasks.iter().map(|task| task.key.to_string()).collect::<Vec<_>>().join(", ");
                let act = match step.stage.part {
                    Part::Make => "make",
                    Part::Prune => "prune",
                    Part::PruneLast => "prune last",
                };
                format!("{} {} {act} {names}", step.stage.phase, step.stage.wave())
            })
            .collect()
    }

    #[test]
    fn an_application() {
        let applies = [
            "apps/Deployment/shop/web",
            "/Service/shop/web",
            "/ConfigMap/shop/b",
            "/ConfigMap/shop/a",
            "/Secret/shop/a",
            "/ServiceAccount/shop/web",
            "/Namespace//shop",
            "networking.k8s.io/Ingress/shop/web",
            "admissionregistration.k8s.io/ValidatingWebhookConfiguration//web",
        ];
        let prunes = ["/ConfigMap/shop/old", "apps/Deployment/shop/old", "/Namespace//old", "/Service/shop/old"];
        let plan = schedule(applies.map(apply).into_iter().chain(prunes.map(prune)).collect());
        assert_eq!(
            words(&plan),
            [
                "Sync 0 make Namespace shop",
                "Sync 0 make ServiceAccount shop/web, ConfigMap shop/a, ConfigMap shop/b",
                "Sync 0 make Secret shop/a, Service shop/web",
                "Sync 0 make apps/Deployment shop/web, networking.k8s.io/Ingress shop/web",
                "Sync 0 make admissionregistration.k8s.io/ValidatingWebhookConfiguration web",
                "Sync 0 prune apps/Deployment shop/old",
                "Sync 0 prune Service shop/old",
                "Sync 0 prune ConfigMap shop/old",
                "Sync 0 prune Namespace old",
            ]
        );
    }

    #[test]
    fn phases_and_waves() {
        let plan = schedule(vec![
            hook("batch/Job/a/after", HookPhase::PostSync, 0),
            hook("batch/Job/a/rescue", HookPhase::SyncFail, -9),
            in_wave(2, apply("/ConfigMap/a/late")),
            in_wave(-1, apply("apps/Deployment/a/early")),
            hook("batch/Job/a/within", HookPhase::Sync, 2),
            hook("batch/Job/a/before", HookPhase::PreSync, 5),
            hook("batch/Job/a/first", HookPhase::PreSync, -5),
            apply("/ConfigMap/a/middle"),
            in_wave(1, prune("/ConfigMap/a/old-1")),
            in_wave(-1, prune("/ConfigMap/a/old-minus-1")),
            in_wave(3, Task { act: Act::Prune { last: true }, ..apply("/ConfigMap/a/very-last") }),
        ]);
        assert_eq!(
            words(&plan),
            [
                "PreSync -5 make batch/Job a/first",
                "PreSync 5 make batch/Job a/before",
                "Sync -1 make apps/Deployment a/early",
                "Sync 0 make ConfigMap a/middle",
                "Sync 2 make ConfigMap a/late",
                "Sync 2 make batch/Job a/within",
                "Sync 1 prune ConfigMap a/old-1",
                "Sync -1 prune ConfigMap a/old-minus-1",
                "Sync 3 prune last ConfigMap a/very-last",
                "PostSync 0 make batch/Job a/after",
                "SyncFail -9 make batch/Job a/rescue",
            ]
        );
    }

    #[test]
    fn a_stage_holds_up_the_next_but_not_the_prunes_right_behind_it() {
        let stage = |phase, part, place| Stage { phase, part, place };
        let (sync, make) = (HookPhase::Sync, Part::Make);
        for (from, to, expected) in [
            (stage(sync, make, 0), stage(sync, make, 0), false),
            (stage(sync, make, 0), stage(sync, make, 1), true),
            (stage(sync, make, 1), stage(sync, Part::Prune, 0), false),
            (stage(sync, make, 1), stage(sync, Part::PruneLast, 0), true),
            (stage(sync, Part::Prune, -1), stage(sync, Part::Prune, 0), true),
            (stage(sync, Part::Prune, -1), stage(HookPhase::PostSync, make, 0), true),
            (stage(HookPhase::PreSync, make, 1), stage(sync, Part::Prune, 0), true),
        ] {
            assert_eq!(from.holds_up(to), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn the_same_object_may_be_a_hook_of_several_phases() {
        let plan = schedule(vec![
            hook("batch/Job/a/x", HookPhase::PreSync, 0),
            hook("batch/Job/a/x", HookPhase::PostSync, 0),
            hook("batch/Job/a/x", HookPhase::PreSync, 0),
        ]);
        assert_eq!(words(&plan), ["PreSync 0 make batch/Job a/x", "PostSync 0 make batch/Job a/x"]);
    }

    #[test]
    fn a_definition_comes_before_its_objects() {
        let plan = schedule(vec![
            apply("crd.example.org/NetworkPolicy/shop/a"),
            apply("example.org/Widget/shop/a"),
            definition("networkpolicies.crd.example.org", "crd.example.org", "NetworkPolicy"),
            definition("widgets.example.org", "example.org", "Widget"),
            apply("networking.k8s.io/NetworkPolicy/shop/b"),
        ]);
        assert_eq!(
            words(&plan),
            [
                "Sync 0 make networking.k8s.io/NetworkPolicy shop/b, apiextensions.k8s.io/CustomResourceDefinition networkpolicies.crd.example.org, apiextensions.k8s.io/CustomResourceDefinition widgets.example.org",
                "Sync 0 make crd.example.org/NetworkPolicy shop/a",
                "Sync 0 make example.org/Widget shop/a",
            ]
        );
    }

    #[test]
    fn definitions_and_namespaces_go_where_they_are_needed_first() {
        let plan = schedule(vec![
            in_wave(-2, apply("example.org/Widget/shop/a")),
            in_wave(3, definition("widgets.example.org", "example.org", "Widget")),
            in_wave(5, apply("/Namespace//shop")),
            hook("batch/Job/shop/before", HookPhase::PreSync, 1),
            // One that comes early stays early.
            in_wave(-7, apply("/Namespace//other")),
            apply("/ConfigMap/other/a"),
        ]);
        assert_eq!(
            words(&plan),
            [
                "PreSync 1 make Namespace shop",
                "PreSync 1 make batch/Job shop/before",
                "Sync -7 make Namespace other",
                "Sync -2 make apiextensions.k8s.io/CustomResourceDefinition widgets.example.org",
                "Sync -2 make example.org/Widget shop/a",
                "Sync 0 make ConfigMap other/a",
            ]
        );
    }

    #[test]
    fn a_definition_goes_after_its_objects() {
        let prunes = [
            "apiextensions.k8s.io/CustomResourceDefinition//networkpolicies.crd.example.org",
            "crd.example.org/NetworkPolicy/shop/a",
        ];
        assert_eq!(
            words(&schedule(prunes.map(prune).to_vec())),
            [
                "Sync 0 prune crd.example.org/NetworkPolicy shop/a",
                "Sync 0 prune apiextensions.k8s.io/CustomResourceDefinition networkpolicies.crd.example.org",
            ]
        );
        let order = prune_order(prunes.map(|text| (key(text), 0)));
        let names: Vec<&str> = order.iter().map(|keys| keys[0].name.as_str()).collect();
        assert_eq!(names, ["a", "networkpolicies.crd.example.org"]);
    }

    #[test]
    fn everything_goes_from_the_highest_wave_to_the_lowest() {
        let objects = [("/ConfigMap/a/x", 0), ("/ConfigMap/a/y", 2), ("apps/Deployment/a/z", 0), ("/Namespace//a", -1)];
        let order = prune_order(objects.map(|(text, wave)| (key(text), wave)));
        let names: Vec<&str> = order.iter().map(|keys| keys[0].name.as_str()).collect();
        assert_eq!(names, ["y", "z", "x", "a"]);
    }

    #[test]
    fn what_is_applied_is_not_pruned() {
        let plan = schedule(vec![apply("/ConfigMap/a/b"), prune("/ConfigMap/a/b"), prune("/ConfigMap/a/c")]);
        assert_eq!(words(&plan), ["Sync 0 make ConfigMap a/b", "Sync 0 prune ConfigMap a/c"]);
    }

    fn any_key() -> impl Strategy<Value = ObjectKey> {
        let kinds = ["Namespace", "ConfigMap", "Secret", "Deployment", "Service", "Widget", "CustomResourceDefinition"];
        (
            prop::sample::select(&["", "apps", "example.org"][..]),
            prop::sample::select(kinds.to_vec()),
            "[ab]?",
            "[a-d](\\.apps)?",
        )
            .prop_map(|(group, kind, namespace, name)| ObjectKey::new(group, kind, &namespace, &name))
    }

    fn any_task() -> impl Strategy<Value = Task> {
        let phases = [HookPhase::PreSync, HookPhase::Sync, HookPhase::PostSync, HookPhase::SyncFail];
        (any_key(), prop::sample::select(vec!["Widget", "ConfigMap", "Service"]), 0..4, 0..4_usize, -2..3_i64).prop_map(
            move |(key, brought, act, phase, wave)| {
                let act = match act {
                    0 => Act::Hook,
                    1 => Act::Prune { last: wave > 1 },
                    _ => Act::Apply,
                };
                Task {
                    gvk: Gvk { group: key.group.clone(), version: "v1".into(), kind: key.kind.clone() },
                    defines: (act == Act::Apply && key.kind == "CustomResourceDefinition")
                        .then(|| GroupKind::new("apps", brought)),
                    phase: if act == Act::Hook { phases[phase] } else { HookPhase::Sync },
                    key,
                    wave,
                    act,
                }
            },
        )
    }

    /// Tasks as an application has them: one for each object, but for hooks of several phases.
    fn any_tasks() -> impl Strategy<Value = Vec<Task>> {
        prop::collection::vec(any_task(), 0..20).prop_map(|mut tasks| {
            let plain: HashSet<ObjectKey> =
                tasks.iter().filter(|task| task.act == Act::Apply).map(|task| task.key.clone()).collect();
            tasks.retain(|task| !task.is_hook() || !plain.contains(&task.key));
            tasks
                .into_iter()
                .map(|task| ((task.phase, task.key.clone()), task))
                .collect::<HashMap<_, _>>()
                .into_values()
                .collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_done_twice(tasks in any_tasks()) {
            let plan = schedule(tasks.clone());
            let mut seen = HashSet::new();
            let mut stages = Vec::new();
            for step in &plan {
                prop_assert!(!step.tasks.is_empty());
                stages.push(step.stage);
                for task in &step.tasks {
                    prop_assert!(seen.insert((task.phase, task.key.clone(), is_prune(task))), "{} twice", task.key);
                }
            }
            prop_assert!(stages.is_sorted());
            let made: HashSet<&ObjectKey> = tasks.iter().filter(|task| !is_prune(task)).map(|task| &task.key).collect();
            let wanted = tasks.iter().filter(|task| !is_prune(task) || !made.contains(&task.key)).count();
            prop_assert_eq!(seen.len(), wanted);
            // Nothing outside the plan is ever deleted.
            let given: HashSet<&ObjectKey> = tasks.iter().filter(|task| is_prune(task)).map(|task| &task.key).collect();
            for (_, key, pruned) in &seen {
                prop_assert!(!pruned || given.contains(key));
            }
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(
            (tasks, mixed) in any_tasks().prop_flat_map(|tasks| (Just(tasks.clone()), Just(tasks).prop_shuffle())),
        ) {
            prop_assert_eq!(schedule(tasks), schedule(mixed));
        }

        #[test]
        fn definitions_and_namespaces_come_first(tasks in any_tasks()) {
            let tasks: Vec<Task> = tasks.into_iter().filter(|task| task.act == Act::Apply).collect();
            let plan = schedule(tasks.clone());
            let place = |wanted: &ObjectKey| plan.iter().position(|step| step.tasks.iter().any(|task| task.key == *wanted));
            for item in &tasks {
                for other in &tasks {
                    let namespace = is_namespace(&item.key) && other.key.namespace == item.key.name;
                    // Two that name each other cannot both be first.
                    let definition = item.defines.as_ref() == Some(&other.gvk.group_kind()) && other.defines.is_none();
                    if (namespace && !is_namespace(&other.key) && other.defines.is_none()) || definition {
                        prop_assert!(place(&item.key) < place(&other.key), "{} before {}", item.key, other.key);
                    }
                }
            }
        }

        #[test]
        fn everything_that_goes_goes_once(keys in prop::collection::vec((any_key(), -2..3_i64), 0..20)) {
            let wanted: HashSet<ObjectKey> = keys.iter().map(|(key, _)| key.clone()).collect();
            let order: Vec<ObjectKey> = prune_order(keys).into_iter().flatten().collect();
            prop_assert_eq!(order.len(), wanted.len());
            prop_assert_eq!(order.into_iter().collect::<HashSet<_>>(), wanted);
        }
    }
}
