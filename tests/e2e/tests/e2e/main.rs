//! The built controller against a real control plane and real git servers.
//!
//! One theme per module. Most tests share one world with one controller; each has its own application, namespace and
//! repository there. What kills, counts, or needs other settings has a controller or a world of its own.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod app_of_apps;
mod autoscaler;
mod bad_input;
mod balancer;
mod cluster_check;
mod command_line;
mod command_line_changes;
mod command_line_sources;
mod command_line_sync;
mod cost;
mod cost_untouched;
mod crd;
mod deadlines;
mod deletion;
mod deletion_hooks;
mod depends;
mod drift;
mod drift_fight;
mod drift_half_done;
mod drift_history;
mod drift_metrics;
mod drift_policy;
mod fail_closed;
mod fallbacks;
mod faults_conversion;
mod faults_disk;
mod faults_lease;
mod faults_servers;
mod faults_steps;
mod faults_unreachable;
mod first_sync;
mod four_ways;
mod git_change;
mod helm_hooks;
mod history;
mod hook_policies;
mod hooks;
mod ignore;
mod immutable;
mod installation;
mod jobs;
mod json_logs;
mod kill;
mod kill_hooks;
mod kinds_of_syncs;
mod lease;
mod meanwhile;
mod moved;
mod namespaces;
mod operations;
mod options;
mod options_namespace;
mod outage;
mod partial;
mod pause;
mod preview;
mod private;
mod projects;
mod projects_accounts;
mod projects_orphans;
mod prune;
mod ranges;
mod refresh;
mod retries;
mod rival;
mod secrets;
mod signatures;
mod sops;
mod sources;
mod supersede;
mod sweep;
mod waves;
mod webhook;
mod windows;
