//! What is reached from outside: Services, Ingresses, aggregated APIs.

use trueup_object::Node;

use crate::{Code, Health, condition, text};

pub(crate) fn service(object: &Node) -> Health {
    if text(object, &["spec", "type"]) == "LoadBalancer" { balanced(object) } else { Health::new(Code::Healthy, "") }
}

pub(crate) fn ingress(object: &Node) -> Health {
    balanced(object)
}

pub(crate) fn api_service(object: &Node) -> Health {
    let Some(available) = condition(object, "Available") else {
        return Health::new(Code::Progressing, "Waiting to be processed");
    };
    let code = if text(available, &["status"]) == "True" { Code::Healthy } else { Code::Progressing };
    Health::new(code, format!("{}: {}", text(available, &["reason"]), text(available, &["message"])))
}

/// A load balancer has an address.
fn balanced(object: &Node) -> Health {
    let waits = object.list_at(&["status", "loadBalancer", "ingress"]).is_empty();
    Health::new(if waits { Code::Progressing } else { Code::Healthy }, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    #[test]
    fn services() {
        check(&[
            ("{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}", Code::Healthy, ""),
            ("{apiVersion: v1, kind: Service, spec: {}}", Code::Healthy, ""),
            ("{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", Code::Progressing, ""),
            (
                "{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: []}}}",
                Code::Progressing,
                "",
            ),
            (
                "{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}",
                Code::Healthy,
                "",
            ),
        ]);
    }

    #[test]
    fn ingresses() {
        check(&[
            ("{apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {}}}", Code::Progressing, ""),
            (
                "{apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {ingress: [{hostname: a}]}}}",
                Code::Healthy,
                "",
            ),
            (
                "{apiVersion: extensions/v1beta1, kind: Ingress, status: {loadBalancer: {ingress: [{}]}}}",
                Code::Healthy,
                "",
            ),
        ]);
    }

    #[test]
    fn api_services() {
        check(&[
            (
                "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: 'True', reason: Passed, message: all good}]}}",
                Code::Healthy,
                "Passed: all good",
            ),
            (
                "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints, message: none}]}}",
                Code::Progressing,
                "MissingEndpoints: none",
            ),
            ("{apiVersion: apiregistration.k8s.io/v1, kind: APIService}", Code::Progressing, "Waiting to be processed"),
        ]);
    }
}
