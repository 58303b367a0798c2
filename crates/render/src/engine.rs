//! What renders charts, overlays and Jsonnet: the workers, or in tests a script.

use crate::workers::{Answers, Job, Reply, WorkerError, Workers};

/// What renders charts, overlays and Jsonnet.
pub(crate) trait Engine: Send + Sync {
    /// Renders, asking for what it reads.
    fn render(&self, job: &Job, answers: &mut dyn Answers) -> Result<Reply, WorkerError>;
    /// What tells this build from others.
    fn build(&self) -> Result<String, WorkerError>;
}

impl Engine for Workers {
    fn render(&self, job: &Job, answers: &mut dyn Answers) -> Result<Reply, WorkerError> {
        Self::render(self, job, answers)
    }

    fn build(&self) -> Result<String, WorkerError> {
        self.versions().map(|versions| versions.build.clone())
    }
}
