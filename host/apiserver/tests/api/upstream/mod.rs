//! Answers that differed from kube-apiserver's until `scripts/oracle` compared them.

mod bodies;
mod ownership;
mod writes;

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
