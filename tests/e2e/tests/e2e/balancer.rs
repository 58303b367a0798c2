//! A Service that is healthy when a test says so: the health of a load balancer is its address.

use serde_json::json;
use trueup_e2e::Scene;

/// The manifest.
pub(crate) const LOAD_BALANCER: &str = "\
apiVersion: v1
kind: Service
metadata: {name: balancer}
spec: {type: LoadBalancer, selector: {app: x}, ports: [{port: 80}]}
";

/// The Service in a scene's namespace, which must be there.
pub(crate) struct Balancer<'a>(pub(crate) &'a Scene<'static>);

impl Balancer<'_> {
    /// Gives it an address, or takes it away.
    pub(crate) async fn ready(&self, ready: bool) {
        let addresses = if ready { json!([{"ip": "192.0.2.1"}]) } else { json!(null) };
        let path = format!("{}/status", self.0.path("services", "balancer"));
        self.0.admin.merge(&path, "cloud", &json!({"status": {"loadBalancer": {"ingress": addresses}}})).await;
    }
}
