//! `trueup cluster check`.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use trueup_api::NamespacePatterns;
use trueup_cluster::{Cluster, Kind, ServiceAccount};
use trueup_controller::grants::{ANY, GRANTS};
use trueup_object::{Gvk, Node};

use crate::access::{AccessArgs, explained};
use crate::command_error::{CommandError, Outcome, internal_error_with_message, user_error};
use crate::commands::cluster::ask::Answers;
use crate::commands::cluster::facts::{Fact, Facts, State};
use crate::commands::cluster::inventory::{self, Inventory};
use crate::commands::cluster::roles::roles;
use crate::commands::cluster::rule::{Judged, Rule, Setting, rules, wide};
use crate::output::style::Paint;
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Tells what the controller may and may not do on this cluster: every rule that it needs is asked about, for whoever the \
kubeconfig is, or for a service account. Where not all kinds are granted, those that the Applications have brought so far are \
asked about one by one. What is missing is printed as RBAC too.

Besides: the server's version, our definitions, and whether an Argo CD controller still runs.

Exit codes: 0 everything is there, 1 something is missing, 2 the cluster cannot be asked.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup cluster check --as-service-account argocd/trueup-controller
  trueup cluster check --as-service-account argocd/trueup-controller -o yaml | kubectl apply -f -
  trueup cluster check -n team-a --destination-namespace team-a --as-service-account team-a/trueup-controller
  trueup cluster check --kubeconfig controller.kubeconfig --application-namespaces 'team-*'";

/// Where the messages of the facts begin, in characters.
const MESSAGES_AT: usize = 16;

/// The arguments of `trueup cluster check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Ask for this service account instead of for whoever the kubeconfig is.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = service_account)]
    as_service_account: Option<ServiceAccount>,
    /// Further namespaces whose Applications are to be taken, as the controller's flag of this name.
    #[arg(long, value_name = "PATTERN", env = "TRUEUP_APPLICATION_NAMESPACES", value_delimiter = ',')]
    application_namespaces: Vec<String>,
    /// The one namespace whose objects are to be looked after, as the controller's flag of this name.
    #[arg(long, value_name = "NAMESPACE", env = "TRUEUP_DESTINATION_NAMESPACE")]
    destination_namespace: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: CheckFormat,
}

/// How the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CheckFormat {
    /// Tables, and what is missing as RBAC.
    Table,
    /// Only what is missing, as roles to apply.
    Yaml,
    /// Everything, for scripts.
    Json,
}

/// Everything, for scripts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    asked_for: String,
    facts: &'a [Fact],
    rules: Vec<Told<'a>>,
    missing_roles: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    granted: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    api_groups: [&'a str; 1],
    resources: &'a [String],
    verbs: &'a [String],
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    only_for: Option<&'a str>,
}

/// Asks, and prints what there is.
pub(crate) async fn run(args: &CheckArgs) -> Result<Outcome, CommandError> {
    // The controller does not start with such patterns either.
    if let Some(pattern) = NamespacePatterns::read(&args.application_namespaces).malformed().first() {
        return Err(user_error(format!("--application-namespaces: '{pattern}' is not a valid pattern"))
            .hinted("write a name, a glob as 'team-*', or a regular expression between slashes"));
    }
    let cluster = args.access.connect().await?;
    let facts = Facts::read(&cluster, &args.access.namespace).await;
    let mut facts = facts.map_err(|error| explained("cannot ask the cluster", error))?;
    let account = args.as_service_account.as_ref();
    if let Some(fact) = missing_account(&cluster, account).await {
        facts.0.push(fact);
    }
    if let Some(fact) = missing_namespace(&cluster, &args.access.namespace).await {
        facts.0.push(fact);
    }
    let inventory = brought(&cluster, args, &mut facts).await;
    let judged = judge(&cluster, args, account, &inventory).await?;
    let missing: Vec<&Rule> = judged.iter().filter(|judged| !judged.granted).map(|judged| &judged.rule).collect();
    let roles = roles(missing.iter().copied(), account);

    let mut output = Output::stdout();
    match args.output {
        CheckFormat::Table => {
            let text = told(account, &facts, &judged, &output);
            output.text(&text)?;
            if !roles.is_empty() {
                output.text("\n# What is missing; apply it with -o yaml.\n")?;
                print_roles(&mut output, &roles)?;
            }
        }
        CheckFormat::Yaml if roles.is_empty() => talk::note("no rule is missing"),
        CheckFormat::Yaml => print_roles(&mut output, &roles)?,
        CheckFormat::Json => {
            let rules = judged.iter().map(Told::new).collect();
            let report = Report { asked_for: who(account), facts: &facts.0, rules, missing_roles: roles };
            output.data(&report, DataFormat::Json)?;
        }
    }
    output.finish()?;
    Ok(if facts.lack() || !missing.is_empty() { Outcome::Differs } else { Outcome::Done })
}

async fn judge(
    cluster: &Cluster,
    args: &CheckArgs,
    account: Option<&ServiceAccount>,
    inventory: &Inventory,
) -> Result<Vec<Judged>, CommandError> {
    let cannot = |error| explained(&format!("cannot ask what {} may do", who(account)), error);
    let patterns = NamespacePatterns::read(&args.application_namespaces);
    let setting = Setting {
        namespace: &args.access.namespace,
        application_namespaces: &patterns,
        destination_namespace: args.destination_namespace.as_deref().unwrap_or_default(),
        // Who may not look cannot be told more.
        impersonates: trueup_controller::impersonates(cluster, &args.access.namespace).await.unwrap_or(false),
    };
    let mut answers = Answers::default();
    answers.ask(cluster, account, wide(GRANTS, &setting)).await.map_err(cannot)?;
    let rules = rules(GRANTS, &setting, inventory, |action| answers.granted(action));
    answers.ask(cluster, account, rules.iter().flat_map(Rule::actions)).await.map_err(cannot)?;
    Ok(rules.iter().flat_map(|rule| rule.judge(|action| answers.granted(action))).collect())
}

/// The kinds of the Applications, and a fact that tells of them.
async fn brought(cluster: &Cluster, args: &CheckArgs, facts: &mut Facts) -> Inventory {
    let patterns = NamespacePatterns::read(&args.application_namespaces);
    let others = patterns.names().unwrap_or_default().into_iter().map(str::to_owned);
    let namespaces: Vec<String> = std::iter::once(args.access.namespace.clone()).chain(others).collect();
    let read = inventory::read(cluster, &namespaces).await;
    let message = format!("{} of {} Applications", read.inventory.count(), read.count);
    let (state, message) = match read.failed {
        None => (State::Good, message),
        Some(why) => (State::Notable, format!("{message}; {why}")),
    };
    facts.0.push(Fact { name: "Kinds in use", state, message });
    read.inventory
}

/// That a service account may do something says little if it is not there.
async fn missing_account(cluster: &Cluster, account: Option<&ServiceAccount>) -> Option<Fact> {
    let account = account?;
    let kind = Kind {
        gvk: Gvk::from_api_version("v1", "ServiceAccount"),
        plural: "serviceaccounts".to_owned(),
        namespaced: true,
        scale: false,
        status: false,
        watchable: true,
    };
    // Who may not look is not told: that nothing was found must be certain.
    let found = cluster.get_raw(&kind, &account.namespace, &account.name).await.ok()?;
    let message = format!("'{}' does not exist in namespace '{}'", account.name, account.namespace);
    found.is_none().then_some(Fact { name: "Account", state: State::Missing, message })
}

/// Where there is no namespace, there is no controller in it, whatever it might do there.
async fn missing_namespace(cluster: &Cluster, name: &str) -> Option<Fact> {
    let kind = Kind {
        gvk: Gvk::from_api_version("v1", "Namespace"),
        plural: "namespaces".to_owned(),
        namespaced: false,
        scale: false,
        status: true,
        watchable: true,
    };
    // Who may not look is not told: that nothing was found must be certain.
    let found = cluster.get_raw(&kind, "", name).await.ok()?;
    let message = format!("'{name}' does not exist; create it: kubectl create namespace {name}");
    found.is_none().then_some(Fact { name: "Namespace", state: State::Missing, message })
}

fn who(account: Option<&ServiceAccount>) -> String {
    account.map_or_else(|| "the user of this kubeconfig".to_owned(), ServiceAccount::user)
}

fn told(account: Option<&ServiceAccount>, facts: &Facts, judged: &[Judged], output: &Output) -> String {
    let mut text = format!("{:<MESSAGES_AT$}{}\n", "Asked for:", who(account));
    for fact in &facts.0 {
        let message = crate::output::style::one_line(&fact.message);
        let message = match fact.state {
            State::Good => message,
            State::Notable => output.palette.paint(Paint::Warning, &message),
            State::Missing => output.palette.paint(Paint::Bad, &format!("MISSING: {message}")),
        };
        let name = format!("{}:", fact.name);
        let _ = writeln!(text, "{name:<MESSAGES_AT$}{message}");
    }
    text.push('\n');
    text.push_str(&table(judged).print(output.palette));
    text
}

fn table(judged: &[Judged]) -> Table {
    let mut table = Table::new(&["GRANTED", "WHERE", "RESOURCES", "VERBS", "FOR"]);
    for Judged { rule, granted } in judged {
        let granted = if *granted { Cell::painted("yes", Paint::Good) } else { Cell::painted("NO", Paint::Bad) };
        let place = if rule.namespace.is_empty() { "cluster" } else { &rule.namespace };
        let why = match rule.only_for {
            None => rule.why.to_owned(),
            Some(only_for) => format!("{} (only for {only_for})", rule.why),
        };
        table.row(vec![granted, place.into(), resources(rule).into(), rule.verbs.join(",").into(), why.into()]);
    }
    table
}

/// As kubectl names them: `deployments.apps`.
fn resources(rule: &Rule) -> String {
    if rule.group == ANY {
        return "all".to_owned();
    }
    let one = |resource: &String| {
        if rule.group.is_empty() { resource.clone() } else { format!("{resource}.{}", rule.group) }
    };
    rule.resources.iter().map(one).collect::<Vec<_>>().join(",")
}

fn print_roles(output: &mut Output, roles: &[Value]) -> Result<(), CommandError> {
    for (at, role) in roles.iter().enumerate() {
        if at > 0 {
            output.line("---")?;
        }
        let node = Node::from_json(role.to_string().as_bytes())
            .map_err(|error| internal_error_with_message("cannot print a role", error))?;
        output.yaml(&node)?;
    }
    Ok(())
}

fn service_account(text: &str) -> Result<ServiceAccount, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err("a service account is named as NAMESPACE/NAME".to_owned()),
    }
}

// === impl Told ===

impl<'a> Told<'a> {
    fn new(judged: &'a Judged) -> Self {
        let Judged { rule, granted } = judged;
        Self {
            granted: *granted,
            namespace: &rule.namespace,
            api_groups: [&rule.group],
            resources: &rule.resources,
            verbs: &rule.verbs,
            why: rule.why,
            only_for: rule.only_for,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;

    #[test]
    fn what_is_missing_stands_out() {
        let rule = Rule {
            namespace: "argocd".to_owned(),
            group: "coordination.k8s.io".to_owned(),
            resources: vec!["leases".to_owned()],
            verbs: vec!["get".to_owned(), "create".to_owned()],
            why: "one works at a time",
            only_for: Some("several replicas"),
        };
        let all = Rule {
            namespace: String::new(),
            group: ANY.to_owned(),
            resources: vec![ANY.to_owned()],
            verbs: vec!["list".to_owned()],
            why: "watches",
            only_for: None,
        };
        let judged = [Judged { rule, granted: false }, Judged { rule: all, granted: true }];
        let expected = "\
GRANTED  WHERE    RESOURCES                   VERBS       FOR
NO       argocd   leases.coordination.k8s.io  get,create  one works at a time (only for several replicas)
yes      cluster  all                         list        watches
";
        assert_eq!(table(&judged).print(Palette::PLAIN), expected);
    }

    #[test]
    fn a_service_account_has_two_names() {
        assert_eq!(service_account("a/b"), Ok(ServiceAccount { namespace: "a".to_owned(), name: "b".to_owned() }));
        for wrong in ["a", "/b", "a/", "a/b/c"] {
            assert!(service_account(wrong).is_err(), "{wrong}");
        }
    }
}
