//! How far a sync is, and what comes next.
//!
//! Keeps nothing: what is known of each task goes in, the next step comes out. Invariants: a task that was done in this
//! attempt is never due again; a stage begins when everything before it that holds it up is healthy; a sync in which
//! something failed ends as failed, after its hooks for that. Entry points: [`state`] and [`next`], and
//! [`next_hook`] for a deletion.

use std::collections::HashMap;

use trueup_api::HookPhase;

use crate::schedule::{Part, Stage, Step};
use crate::task::{Act, Task};

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What this attempt did about it already.
    pub done: Option<Done>,
    /// There is something to do: an object is not as Git says, or one that has to go is there.
    pub due: bool,
    /// The object is there.
    pub there: bool,
    /// How it is.
    pub condition: Condition,
}

/// What an attempt did about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The object was written, or its deletion was accepted.
    Made,
    /// A hook of an earlier sync that stood in the way is being deleted.
    Cleared,
    /// It is left as it is, by wish or because somebody else holds it.
    Left,
    /// That was refused, and why.
    Refused(String),
    /// The hook has ended: well, or why not. It may have vanished since.
    Ended(Result<(), String>),
}

/// How an object is, as far as that counts for a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is as it has to be, or nobody can tell.
    Well,
    /// It is not yet, and what it says.
    OnItsWay(String),
    /// It will not be by itself, and what it says.
    Broken(String),
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was done yet.
    Pending,
    /// It was done, and has not shown its effect yet: what it says.
    Running(String),
    /// It had its effect.
    Done,
    /// It failed, and why.
    Failed(String),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// These tasks of one step are done, side by side.
    Perform(Stage, Vec<&'a Task>),
    /// These are waited for, and what each says.
    Wait(Vec<(&'a Task, String)>),
    /// Nothing more: everything was done.
    Succeeded,
    /// Nothing more: these tasks failed, each for this reason, as far as they still say so.
    Failed(Vec<(&'a Task, String)>),
}

/// Where a task is.
pub fn state(act: Act, facts: &Facts) -> State {
    match &facts.done {
        Some(Done::Refused(why) | Done::Ended(Err(why))) => State::Failed(why.clone()),
        Some(Done::Ended(Ok(())) | Done::Left) => State::Done,
        Some(Done::Cleared) if facts.there => State::Running("the one of an earlier sync is being deleted".to_owned()),
        Some(Done::Cleared) => State::Pending,
        Some(Done::Made) => made(act, facts),
        None => match act {
            Act::Hook => State::Pending,
            Act::Apply | Act::Prune { .. } if facts.due => State::Pending,
            Act::Apply => effect(&facts.condition),
            Act::Prune { .. } => gone(facts.there),
        },
    }
}

fn made(act: Act, facts: &Facts) -> State {
    match act {
        Act::Prune { .. } => gone(facts.there),
        Act::Apply | Act::Hook if facts.there => effect(&facts.condition),
        Act::Apply => State::Failed("it was deleted again by somebody".to_owned()),
        Act::Hook => State::Failed("it was deleted before its end was seen".to_owned()),
    }
}

fn effect(condition: &Condition) -> State {
    match condition {
        Condition::Well => State::Done,
        Condition::OnItsWay(why) => State::Running(why.clone()),
        Condition::Broken(why) => State::Failed(why.clone()),
    }
}

fn gone(there: bool) -> State {
    if there { State::Running("it is being deleted".to_owned()) } else { State::Done }
}

/// What comes next. `failed` if something failed before in this attempt: what recovers later does not undo that.
pub fn next(steps: &[Step], failed: bool, state: impl Fn(&Task) -> State) -> Next<'_> {
    let state = at_once(steps, state);
    let (steps, rescue) = steps.split_at(steps.partition_point(|step| step.stage.phase < HookPhase::SyncFail));
    match if failed { Walk::Failed(failures(steps, &state)) } else { walk(steps, &state) } {
        Walk::On(next) => next,
        Walk::Succeeded => Next::Succeeded,
        Walk::Failed(failures) => match walk(rescue, &state) {
            Walk::On(next) => next,
            Walk::Succeeded => Next::Failed(failures),
            Walk::Failed(more) => Next::Failed(failures.into_iter().chain(more).collect()),
        },
    }
}

/// What comes next where nothing but hooks run, as before and after a deletion: there is nothing to rescue.
pub fn next_hook(steps: &[Step], state: impl Fn(&Task) -> State) -> Next<'_> {
    match walk(steps, &at_once(steps, state)) {
        Walk::On(next) => next,
        Walk::Succeeded => Next::Succeeded,
        Walk::Failed(failures) => Next::Failed(failures),
    }
}

/// Each task's state, asked for once: what is observed may change at any moment, and a task that is no longer pending at one
/// question and no longer running at the next would count as done.
fn at_once(steps: &[Step], state: impl Fn(&Task) -> State) -> impl Fn(&Task) -> State {
    let tasks = steps.iter().flat_map(|step| &step.tasks);
    let known: HashMap<*const Task, State> = tasks.map(|task| (std::ptr::from_ref(task), state(task))).collect();
    move |task| known.get(&std::ptr::from_ref(task)).cloned().unwrap_or(State::Pending)
}

/// How far some of the steps are.
enum Walk<'a> {
    On(Next<'a>),
    Succeeded,
    Failed(Vec<(&'a Task, String)>),
}

fn failures<'a>(steps: &'a [Step], state: &impl Fn(&Task) -> State) -> Vec<(&'a Task, String)> {
    let tasks = steps.iter().flat_map(|step| &step.tasks);
    let failed = tasks.filter_map(|task| match state(task) {
        State::Failed(why) => Some((task, why)),
        _ => None,
    });
    failed.collect()
}

fn walk<'a>(steps: &'a [Step], state: &impl Fn(&Task) -> State) -> Walk<'a> {
    let mut running: Vec<(&Task, String)> = Vec::new();
    let mut before: Option<Stage> = None;
    for stage in steps.chunk_by(|a, b| a.stage == b.stage) {
        let now = stage[0].stage;
        if before.is_some_and(|before| before.holds_up(now)) {
            let held_up = held_up(&running, now);
            if !held_up.is_empty() {
                return Walk::On(Next::Wait(held_up));
            }
        }
        for step in stage {
            let pending: Vec<&Task> = step.tasks.iter().filter(|task| state(task) == State::Pending).collect();
            if !pending.is_empty() {
                return Walk::On(Next::Perform(now, pending));
            }
        }
        for task in stage.iter().flat_map(|step| &step.tasks) {
            if let State::Running(why) = state(task) {
                running.push((task, why));
            }
        }
        let failures = failures(stage, state);
        if !failures.is_empty() {
            // What has begun to act comes to its end first; an object that is merely not healthy yet is not waited for.
            let hooks = hooks(&running);
            return if hooks.is_empty() { Walk::Failed(failures) } else { Walk::On(Next::Wait(hooks)) };
        }
        before = Some(now);
    }
    // As upstream: the last wave's health is waited for only where a hook runs beside it.
    let ends_with_hook = steps.last().is_some_and(|last| {
        let last_stage = steps.iter().filter(|step| step.stage == last.stage);
        last_stage.flat_map(|step| &step.tasks).any(Task::is_hook)
    });
    let several = steps.first().map(|step| step.stage) != steps.last().map(|step| step.stage);
    let waiting = if ends_with_hook && several { running } else { hooks(&running) };
    if waiting.is_empty() { Walk::Succeeded } else { Walk::On(Next::Wait(waiting)) }
}

/// What of that which runs keeps a stage from beginning: a prune waits only for prunes.
fn held_up<'a>(running: &[(&'a Task, String)], stage: Stage) -> Vec<(&'a Task, String)> {
    let prunes_only = stage.part == Part::Prune;
    let counts = |task: &Task| !prunes_only || matches!(task.act, Act::Prune { .. });
    running.iter().filter(|(task, _)| counts(task)).cloned().collect()
}

fn hooks<'a>(running: &[(&'a Task, String)]) -> Vec<(&'a Task, String)> {
    running.iter().filter(|(task, _)| task.is_hook()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use proptest::prelude::*;
    use trueup_object::{Gvk, ObjectKey};

    use super::*;
    use crate::schedule::schedule;

    fn task(name: &str, act: Act, phase: HookPhase, wave: i64) -> Task {
        let kind = if act == Act::Hook { "Job" } else { "ConfigMap" };
        let key = ObjectKey::new("", kind, "a", name);
        Task {
            gvk: Gvk { group: "".into(), version: "v1".into(), kind: kind.into() },
            key,
            phase,
            wave,
            act,
            defines: None,
        }
    }

    #[test]
    fn a_hook_that_vanishes_while_it_is_looked_at_is_not_done() {
        let steps = schedule(vec![hook("before", HookPhase::PreDelete)]);
        for states in [
            [State::Running("it goes".to_owned()), State::Pending],
            [State::Pending, State::Running("it is there".to_owned())],
        ] {
            let asked = std::cell::Cell::new(0);
            let moving = |_: &Task| {
                asked.set(asked.get() + 1);
                states[(asked.get() - 1).min(1)].clone()
            };
            assert_ne!(next_hook(&steps, moving), Next::Succeeded);
            assert_eq!(asked.get(), 1, "one answer counts throughout");
        }
    }

    fn apply(name: &str, wave: i64) -> Task {
        task(name, Act::Apply, HookPhase::Sync, wave)
    }

    fn hook(name: &str, phase: HookPhase) -> Task {
        task(name, Act::Hook, phase, 0)
    }

    fn prune(name: &str, wave: i64) -> Task {
        task(name, Act::Prune { last: false }, HookPhase::Sync, wave)
    }

    fn running() -> State {
        State::Running("why".to_owned())
    }

    fn failed() -> State {
        State::Failed("broken".to_owned())
    }

    /// What comes next, as words, where each name is in this state and what is not named is pending.
    fn said(tasks: &[Task], failed_before: bool, states: &[(&str, State)]) -> String {
        let steps = schedule(tasks.to_vec());
        let states: HashMap<&str, &State> = states.iter().map(|(name, state)| (*name, state)).collect();
        let next = next(&steps, failed_before, |task| {
            states.get(task.key.name.as_str()).copied().cloned().unwrap_or(State::Pending)
        });
        let names = |tasks: Vec<&str>| tasks.join(" ");
        match next {
            Next::Perform(_, tasks) => {
                format!("do {}", names(tasks.iter().map(|task| task.key.name.as_str()).collect()))
            }
            Next::Wait(tasks) => {
                format!("wait {}", names(tasks.iter().map(|(task, _)| task.key.name.as_str()).collect()))
            }
            Next::Succeeded => "succeeded".to_owned(),
            Next::Failed(tasks) => {
                format!("failed {}", names(tasks.iter().map(|(task, _)| task.key.name.as_str()).collect()))
                    .trim()
                    .to_owned()
            }
        }
    }

    #[test]
    fn where_a_task_is() {
        let why = || "why".to_owned();
        let facts =
            |done: Option<Done>, due: bool, there: bool, condition: Condition| Facts { done, due, there, condition };
        let (well, coming, broken) = (Condition::Well, Condition::OnItsWay(why()), Condition::Broken(why()));
        let prune = Act::Prune { last: false };
        let rows = [
            ("missing", Act::Apply, facts(None, true, false, well.clone()), State::Pending),
            ("in line", Act::Apply, facts(None, false, true, well.clone()), State::Done),
            (
                "in line and not yet healthy",
                Act::Apply,
                facts(None, false, true, coming.clone()),
                State::Running(why()),
            ),
            ("in line and broken", Act::Apply, facts(None, false, true, broken.clone()), State::Failed(why())),
            ("applied", Act::Apply, facts(Some(Done::Made), false, true, well.clone()), State::Done),
            (
                "applied and changed since",
                Act::Apply,
                facts(Some(Done::Made), true, true, coming.clone()),
                State::Running(why()),
            ),
            ("refused", Act::Apply, facts(Some(Done::Refused(why())), true, true, well.clone()), State::Failed(why())),
            ("left", Act::Apply, facts(Some(Done::Left), true, true, broken.clone()), State::Done),
            ("to be pruned", prune, facts(None, true, true, well.clone()), State::Pending),
            ("gone", prune, facts(Some(Done::Made), false, false, well.clone()), State::Done),
            ("kept", prune, facts(Some(Done::Left), true, true, well.clone()), State::Done),
            ("a hook of before", Act::Hook, facts(None, false, true, well.clone()), State::Pending),
            (
                "a hook that runs",
                Act::Hook,
                facts(Some(Done::Made), false, true, coming.clone()),
                State::Running(why()),
            ),
            ("a hook that ended", Act::Hook, facts(Some(Done::Made), false, true, well.clone()), State::Done),
            (
                "a hook that failed",
                Act::Hook,
                facts(Some(Done::Made), false, true, broken.clone()),
                State::Failed(why()),
            ),
            (
                "one of before goes",
                Act::Hook,
                facts(Some(Done::Cleared), true, true, broken.clone()),
                State::Running("the one of an earlier sync is being deleted".to_owned()),
            ),
            (
                "one of before has gone",
                Act::Hook,
                facts(Some(Done::Cleared), true, false, well.clone()),
                State::Pending,
            ),
            ("ended and gone", Act::Hook, facts(Some(Done::Ended(Ok(()))), false, false, well.clone()), State::Done),
            (
                "failed and gone",
                Act::Hook,
                facts(Some(Done::Ended(Err(why()))), false, false, well.clone()),
                State::Failed(why()),
            ),
        ];
        for (what, act, facts, expected) in rows {
            assert_eq!(state(act, &facts), expected, "{what}");
        }
        // What is taken away meanwhile is not made again: whoever does that would keep the sync busy for ever.
        for act in [Act::Apply, Act::Hook] {
            assert!(matches!(state(act, &facts(Some(Done::Made), true, false, Condition::Well)), State::Failed(_)));
        }
        let going = state(prune, &facts(Some(Done::Made), false, true, Condition::Well));
        assert!(matches!(going, State::Running(_)));
    }

    /// What it is about, the tasks, where they are, and what comes next.
    type Row<'a> = (&'a str, &'a [Task], Vec<(&'a str, State)>, &'a str);

    #[test]
    fn what_comes_next() {
        use HookPhase::{PostSync, PreSync, SyncFail};
        let done = State::Done;
        let plain = [apply("a", 0), apply("b", 0)];
        let waves = [apply("a", 0), apply("b", 1)];
        let hooked = [hook("pre", PreSync), apply("a", 0), hook("post", PostSync), hook("fail", SyncFail)];
        let pruned = [apply("a", 0), prune("old", 0), prune("older", -1)];
        let last = [apply("a", 0), task("old", Act::Prune { last: true }, HookPhase::Sync, 0)];
        let rows: Vec<Row<'_>> = vec![
            ("nothing", &[], vec![], "succeeded"),
            ("all at once", &plain, vec![], "do a b"),
            ("what is left", &plain, vec![("a", done.clone())], "do b"),
            ("one wave is not waited for", &plain, vec![("a", running()), ("b", done.clone())], "succeeded"),
            ("one refusal keeps nobody else", &plain, vec![("a", failed())], "do b"),
            ("and then it fails", &plain, vec![("a", failed()), ("b", running())], "failed a"),
            ("a wave holds up the next", &waves, vec![("a", running())], "wait a"),
            ("a healthy wave does not", &waves, vec![("a", done.clone())], "do b"),
            ("a broken one ends it", &waves, vec![("a", failed())], "failed a"),
            ("the last wave is not waited for", &waves, vec![("a", done.clone()), ("b", running())], "succeeded"),
            ("an earlier one that turned is", &waves, vec![("a", running()), ("b", done.clone())], "wait a"),
            ("hooks come first", &hooked, vec![], "do pre"),
            ("and hold up", &hooked, vec![("pre", running())], "wait pre"),
            ("the objects hold up the last hooks", &hooked, vec![("pre", done.clone()), ("a", running())], "wait a"),
            (
                "which are waited for",
                &hooked,
                vec![("pre", done.clone()), ("a", done.clone()), ("post", running())],
                "wait post",
            ),
            (
                "no failure, no rescue",
                &hooked,
                vec![("pre", done.clone()), ("a", done.clone()), ("post", done.clone())],
                "succeeded",
            ),
            ("a failure, and the rescue", &hooked, vec![("pre", failed())], "do fail"),
            ("which is waited for", &hooked, vec![("pre", failed()), ("fail", running())], "wait fail"),
            ("and undoes nothing", &hooked, vec![("pre", failed()), ("fail", done.clone())], "failed pre"),
            ("and may fail too", &hooked, vec![("pre", failed()), ("fail", failed())], "failed pre fail"),
            ("prunes do not wait for health", &pruned, vec![("a", running())], "do old"),
            ("but for a refusal", &pruned, vec![("a", failed())], "failed a"),
            ("and for each other", &pruned, vec![("a", running()), ("old", running())], "wait old"),
            ("until they are gone", &pruned, vec![("a", running()), ("old", done.clone())], "do older"),
            (
                "the last are not waited for",
                &pruned,
                vec![("a", running()), ("old", done.clone()), ("older", running())],
                "succeeded",
            ),
            ("what is pruned last waits", &last, vec![("a", running())], "wait a"),
            ("for health", &last, vec![("a", done.clone())], "do old"),
        ];
        for (what, tasks, states, expected) in rows {
            assert_eq!(said(tasks, false, &states), expected, "{what}");
        }
        assert_eq!(said(&waves, true, &[("a", done.clone())]), "failed", "what recovered has failed all the same");
        let beside = [hook("hook", HookPhase::Sync), apply("a", 0), apply("b", 1)];
        assert_eq!(
            said(&beside, false, &[("a", failed()), ("hook", running())]),
            "wait hook",
            "a hook comes to its end"
        );
        let both = [apply("a", 0), apply("b", 1), task("hook", Act::Hook, HookPhase::Sync, 1)];
        let states = [("a", done.clone()), ("b", running()), ("hook", done)];
        assert_eq!(said(&both, false, &states), "wait b", "beside a hook the last wave counts");
    }

    /// How a task turns out: refused, or made and then well after some looks, broken, or never well.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Refused,
        Well(u8),
        Broken(u8),
    }

    fn any_case() -> impl Strategy<Value = Vec<(Task, Fate)>> {
        let phases = [HookPhase::PreSync, HookPhase::Sync, HookPhase::PostSync, HookPhase::SyncFail];
        let act = prop_oneof![
            4 => Just(Act::Apply),
            2 => Just(Act::Hook),
            1 => Just(Act::Prune { last: false }),
            1 => Just(Act::Prune { last: true }),
        ];
        let fate = prop_oneof![1 => Just(Fate::Refused), 8 => (0..3_u8).prop_map(Fate::Well), 1 => (0..3_u8).prop_map(Fate::Broken)];
        let one = (act, 0..4_usize, -1..2_i64, fate).prop_map(move |(act, phase, wave, fate)| {
            let phase = if act == Act::Hook { phases[phase] } else { HookPhase::Sync };
            (act, phase, wave, fate)
        });
        prop::collection::vec(one, 0..10).prop_map(|cases| {
            let numbered = cases.into_iter().enumerate();
            numbered.map(|(at, (act, phase, wave, fate))| (task(&format!("t{at}"), act, phase, wave), fate)).collect()
        })
    }

    proptest! {
        #[test]
        fn a_sync_always_ends_and_does_nothing_twice_or_out_of_order(case in any_case()) {
            let steps = schedule(case.iter().map(|(task, _)| task.clone()).collect());
            let fates: BTreeMap<&str, Fate> = case.iter().map(|(task, fate)| (task.key.name.as_str(), *fate)).collect();
            let mut done: HashMap<String, Done> = HashMap::new();
            let mut looks: HashMap<String, u8> = HashMap::new();
            let mut performed: HashSet<String> = HashSet::new();
            let mut last: Option<Stage> = None;
            let mut has_failed = false;
            let mut rounds = 0;
            loop {
                rounds += 1;
                prop_assert!(rounds < 200, "it does not end");
                let facts = |task: &Task| {
                    let name = task.key.name.as_str();
                    let left = |after: u8| looks.get(name).copied().unwrap_or_default() < after;
                    let is_prune = matches!(task.act, Act::Prune { .. });
                    let made = done.contains_key(name);
                    let (there, condition) = match fates[name] {
                        Fate::Well(after) | Fate::Broken(after) if left(after) => (true, Condition::OnItsWay("not yet".to_owned())),
                        Fate::Broken(_) if !is_prune => (true, Condition::Broken("broken".to_owned())),
                        _ => (!is_prune, Condition::Well),
                    };
                    Facts { done: done.get(name).cloned(), due: !made, there, condition }
                };
                let next = next(&steps, has_failed, |task| state(task.act, &facts(task)));
                match next {
                    Next::Perform(stage, tasks) => {
                        if stage.phase == HookPhase::SyncFail {
                            prop_assert!(has_failed || steps.iter().flat_map(|step| &step.tasks)
                                .any(|task| matches!(state(task.act, &facts(task)), State::Failed(_))));
                            has_failed = true;
                        }
                        prop_assert!(last.is_none_or(|last| last <= stage));
                        last = Some(stage);
                        for task in tasks {
                            prop_assert!(performed.insert(task.key.name.to_string()), "{} twice", task.key.name);
                            let outcome = match fates[task.key.name.as_str()] {
                                Fate::Refused => Done::Refused("no".to_owned()),
                                _ => Done::Made,
                            };
                            done.insert(task.key.name.to_string(), outcome);
                        }
                    }
                    Next::Wait(tasks) => {
                        prop_assert!(!tasks.is_empty());
                        for (task, _) in tasks {
                            *looks.entry(task.key.name.to_string()).or_default() += 1;
                        }
                    }
                    Next::Succeeded => {
                        let all = case.iter().filter(|(task, _)| task.phase != HookPhase::SyncFail).count();
                        prop_assert_eq!(performed.len(), all);
                        prop_assert!(!done.values().any(|done| matches!(done, Done::Refused(_))));
                        break;
                    }
                    Next::Failed(failures) => {
                        prop_assert!(!failures.is_empty() || has_failed);
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn hooks_of_a_deletion_go_wave_by_wave_and_no_other_phase_rescues_them() {
        let hook = |name, wave| task(name, Act::Hook, HookPhase::PreDelete, wave);
        let tasks = [hook("a", 0), hook("b", 0), hook("c", 1)];
        let steps = schedule(tasks.to_vec());
        let said = |states: &[(&str, State)]| {
            let states: HashMap<&str, &State> = states.iter().map(|(name, state)| (*name, state)).collect();
            let state = |task: &Task| states.get(task.key.name.as_str()).copied().cloned().unwrap_or(State::Pending);
            let names = |tasks: Vec<&Task>| tasks.iter().map(|task| task.key.name.to_string()).collect::<String>();
            match next_hook(&steps, state) {
                Next::Perform(_, tasks) => format!("do {}", names(tasks)),
                Next::Wait(tasks) => format!("wait {}", names(tasks.into_iter().map(|(task, _)| task).collect())),
                Next::Succeeded => "succeeded".to_owned(),
                Next::Failed(tasks) => format!("failed {}", names(tasks.into_iter().map(|(task, _)| task).collect())),
            }
        };
        for (states, expected) in [
            (&[][..], "do ab"),
            (&[("a", State::Done), ("b", running())], "wait b"),
            (&[("a", failed()), ("b", running())], "wait b"),
            (&[("a", failed()), ("b", State::Done)], "failed a"),
            (&[("a", State::Done), ("b", State::Done)], "do c"),
            (&[("a", State::Done), ("b", State::Done), ("c", running())], "wait c"),
            (&[("a", State::Done), ("b", State::Done), ("c", State::Done)], "succeeded"),
        ] {
            assert_eq!(said(states), expected, "{states:?}");
        }
        assert!(matches!(next_hook(&[], |_| State::Pending), Next::Succeeded), "there may be none");
    }
}
