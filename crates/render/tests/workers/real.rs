//! The renderer that is shipped.

use trueup_render::workers::{
    Answers, Chart, DirectoryEntry, FileKind, HelmJob, Job, Program, Reply, TreeFile, WorkerError, Workers,
    WorkersConfig,
};

use super::bench::Tests;

pub(crate) const TESTS: Tests =
    &[("the_renderer_renders_a_chart_and_survives_a_bad_one", the_renderer_renders_a_chart_and_survives_a_bad_one)];

/// A chart with one template.
struct OneTemplate(&'static str);

impl OneTemplate {
    fn files(&self) -> Vec<TreeFile> {
        let file = |path: &str, text: &str| TreeFile { path: path.to_owned(), data: text.as_bytes().to_vec() };
        vec![
            file("Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
            file("values.yaml", "greeting: hello\n"),
            file("templates/map.yaml", self.0),
        ]
    }
}

impl Answers for OneTemplate {
    fn stat(&mut self, _root: &str, path: &str) -> Result<FileKind, String> {
        let inside = |file: &TreeFile| path.is_empty() || file.path.starts_with(&format!("{path}/"));
        Ok(match self.files().iter().find(|file| file.path == path || inside(file)) {
            Some(file) if file.path == path => FileKind::File,
            Some(_) => FileKind::Directory,
            None => FileKind::Absent,
        })
    }
    fn list(&mut self, _root: &str, path: &str) -> Result<Vec<DirectoryEntry>, String> {
        Err(format!("'{path}' was listed, and a chart is read as a whole"))
    }
    fn read(&mut self, _root: &str, path: &str) -> Result<Vec<u8>, String> {
        let file = self.files().into_iter().find(|file| file.path == path);
        file.map(|file| file.data).ok_or_else(|| format!("'{path}' is not there"))
    }
    fn tree(&mut self, _root: &str, _path: &str) -> Result<Vec<TreeFile>, String> {
        Ok(self.files())
    }
    fn kube_version(&mut self) -> Result<String, String> {
        Ok("v1.36.3".to_owned())
    }
    fn has_api_version(&mut self, name: &str) -> Result<bool, String> {
        Ok(name == "apps/v1")
    }
    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        Ok(vec!["v1".to_owned(), "apps/v1".to_owned()])
    }
}

fn render(workers: &Workers, template: &'static str) -> Result<Reply, WorkerError> {
    let chart = Chart { root: String::new(), path: String::new() };
    let job = HelmJob { chart, release_name: "r".to_owned(), namespace: "n".to_owned(), ..HelmJob::default() };
    workers.render(&Job::Helm(job), &mut OneTemplate(template))
}

fn the_renderer_renders_a_chart_and_survives_a_bad_one() {
    let workers = Workers::new(WorkersConfig::new(Program::Child(trueup_bed::renderer_binary().unwrap())));
    assert!(workers.versions().unwrap().helm.starts_with('4'));
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {a: {{ .Values.greeting }}, b: {{ .Capabilities.KubeVersion.Version }}}\n";
    let rendered = || {
        let Ok(Reply::Done(done)) = render(&workers, good) else { panic!("it was not rendered") };
        let text = &done.documents[0].text;
        assert!(text.contains("metadata: {name: r}\ndata: {a: hello, b: v1.36.3}"), "{text}");
    };
    rendered();
    let Ok(Reply::Failed(message)) = render(&workers, "a: {{ fail \"no luck\" }}") else { panic!("it did not fail") };
    assert!(message.contains("no luck"), "{message}");
    rendered();
    assert_eq!(workers.counters().starts, 1);
    // More memory than it may have: that ends the worker, and nothing else.
    let Ok(Reply::Failed(message)) = render(&workers, "a: {{ repeat 2000000000 \"a\" }}") else {
        panic!("it was rendered")
    };
    assert!(message.contains("512 MiB of memory"), "{message}");
    rendered();
    assert_eq!(workers.counters().starts, 2);
}
