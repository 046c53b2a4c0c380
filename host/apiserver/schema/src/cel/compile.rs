//! Rules of one schema: compiled, their costs added up.

use super::check::Scope;
use super::cost::{RULE_LIMIT, TOTAL_LIMIT};
use super::declare::{MAX_REQUEST, declare};
use super::field_path::{self, Step};
use super::program::Program;
use super::types::Type;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::{self, Additional, ListType, Node};
use crate::parse::RuleProps;
use crate::path::Path;

/// How many of the costliest expressions are named when all together are too costly.
const NAMED: usize = 4;
/// From this factor on it is not told by how much a limit is exceeded.
const UNTOLD_FACTOR: f64 = 100.0;
/// Below this factor it is told precisely.
const PRECISE_FACTOR: f64 = 1.5;

/// One rule, ready to judge.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(super) program: Program,
    pub(super) message: Option<Program>,
    /// What is said of a failure if no message expression says it.
    pub(super) text: String,
    /// The same where the rule itself went wrong.
    pub(super) kind: FieldErrorKind,
    pub(super) field: Vec<Step>,
    pub(super) optional_old: bool,
}

/// Where a schema stands, as far as its rules are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Whether it is the root of a resource.
    pub(crate) resource: bool,
    /// How many values it can have in one object; none if nothing bounds that.
    cardinality: Option<u64>,
    /// The schema above within which old and new values cannot be told to be the same.
    uncorrelatable: Option<String>,
}

impl Place {
    /// The root of a definition.
    pub(crate) fn root() -> Self {
        Self {
            resource: true,
            cardinality: Some(1),
            uncorrelatable: None,
        }
    }

    /// A property of the schema at this place.
    pub(crate) fn property(&self, parent: &Node, path: &Path<'_>, child_embedded: bool) -> Self {
        let uncorrelatable = parent.atomic_map.then(|| path.to_string());
        self.below(parent, uncorrelatable, child_embedded)
    }

    /// The values of the map at this place.
    pub(crate) fn entry(&self, parent: &Node, child_embedded: bool) -> Self {
        self.below(parent, None, child_embedded)
    }

    /// The items of the list at this place.
    pub(crate) fn item(&self, parent: &Node, path: &Path<'_>, child_embedded: bool) -> Self {
        let uncorrelatable = (!matches!(parent.list, ListType::Map(_))).then(|| path.to_string());
        self.below(parent, uncorrelatable, child_embedded)
    }

    fn below(&self, parent: &Node, uncorrelatable: Option<String>, resource: bool) -> Self {
        let limit = |limit: Option<i64>| limit.map(|limit| u64::try_from(limit).unwrap_or(0));
        let factor = match (parent.kind, &parent.additional) {
            (Some(node::Type::Array), _) => limit(parent.checks.max_items),
            (Some(node::Type::Object), Additional::Unset) => Some(1),
            (Some(node::Type::Object), _) => limit(parent.checks.max_properties),
            _ => Some(1),
        };
        Self {
            resource,
            cardinality: self
                .cardinality
                .zip(factor)
                .map(|(cardinality, factor)| cardinality.saturating_mul(factor)),
            uncorrelatable: self.uncorrelatable.clone().or(uncorrelatable),
        }
    }
}

/// Compiles the rules of a whole definition.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    errors: Vec<FieldError>,
    total: u64,
    costly: Vec<(u64, String)>,
}

impl Compiler {
    /// Compiles the rules of one schema, which is complete but for them.
    pub(crate) fn rules(
        &mut self,
        rules: &[RuleProps<'_>],
        node: &Node,
        place: &Place,
        path: &Path<'_>,
    ) -> Vec<Rule> {
        if rules.is_empty() {
            return Vec::new();
        }
        let path = path.field("x-kubernetes-validations");
        let Some(decl) = declare(node, place.resource) else {
            let detail = "rules cannot see a value of this schema: it has no type that rules know";
            self.errors.push(FieldError::forbidden(path, detail));
            return Vec::new();
        };
        let cardinality = place
            .cardinality
            .unwrap_or(MAX_REQUEST / (decl.min_serialized + 1));
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let scope = Scope {
                value: decl.clone(),
                optional_old: rule.optional_old_self == Some(true),
            };
            compiled.extend(self.rule(
                rule,
                node,
                &scope,
                (place, cardinality),
                &path.index(index),
            ));
        }
        compiled
    }

    fn rule(
        &mut self,
        rule: &RuleProps<'_>,
        node: &Node,
        scope: &Scope,
        (place, cardinality): (&Place, u64),
        path: &Path<'_>,
    ) -> Option<Rule> {
        let errors_before = self.errors.len();
        let field = match rule.field_path {
            "" => Vec::new(),
            text => field_path::parse(node, text).unwrap_or_else(|| {
                self.errors.push(FieldError::invalid(
                    path.field("fieldPath"),
                    text,
                    "must be a valid path",
                ));
                Vec::new()
            }),
        };
        let rule_path = path.field("rule");
        let program = match Program::compile(rule.rule, scope) {
            Err(problem) => {
                self.refuse(&rule_path, rule, &format!("compilation failed: {problem}"))
            }
            Ok(program) if !matches!(program.kind, Type::Bool) => {
                self.refuse(&rule_path, rule, "cel expression must evaluate to a bool")
            }
            Ok(program) => Some(program),
        };
        if let Some(program) = &program {
            self.observe(
                &rule_path,
                "rule",
                program.max_cost.saturating_mul(cardinality),
            );
        }
        let message = self.message_expression(rule, scope, path);
        let uses_old = program.as_ref().is_some_and(|program| program.uses_old);
        if let Some(within) = place.uncorrelatable.as_ref().filter(|_| uses_old) {
            let detail = format!(
                "oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"
            );
            self.errors
                .push(FieldError::invalid(rule_path, rule.rule, detail));
        }
        if let Some(optional) = rule.optional_old_self.filter(|_| !uses_old) {
            let detail = "may not be set if oldSelf is not used in rule";
            self.errors.push(FieldError::invalid(
                path.field("optionalOldSelf"),
                optional,
                detail,
            ));
        }
        if self.errors.len() > errors_before {
            return None;
        }
        let text = match rule.message.trim() {
            "" => format!("failed rule: {}", rule.rule.trim()),
            message => message.to_owned(),
        };
        let kind = match rule.reason {
            Some("FieldValueForbidden") => FieldErrorKind::Forbidden,
            Some("FieldValueRequired") => FieldErrorKind::Required,
            Some("FieldValueDuplicate") => FieldErrorKind::Duplicate,
            _ => FieldErrorKind::Invalid,
        };
        Some(Rule {
            program: program?,
            message,
            text,
            kind,
            field,
            optional_old: scope.optional_old,
        })
    }

    fn message_expression(
        &mut self,
        rule: &RuleProps<'_>,
        scope: &Scope,
        path: &Path<'_>,
    ) -> Option<Program> {
        if rule.message_expression.is_empty() {
            return None;
        }
        let path = path.field("messageExpression");
        let program = match Program::compile(rule.message_expression, scope) {
            Err(problem) => self.refuse(
                &path,
                rule,
                &format!("messageExpression compilation failed: {problem}"),
            ),
            Ok(program) if !matches!(program.kind, Type::String) => {
                self.refuse(&path, rule, "messageExpression must evaluate to a string")
            }
            Ok(program) => Some(program),
        };
        if let Some(program) = &program {
            self.observe(&path, "messageExpression", program.max_cost);
        }
        program
    }

    /// Reports an error that shows the whole rule, its members in upstream's order.
    fn refuse(&mut self, path: &Path<'_>, rule: &RuleProps<'_>, problem: &str) -> Option<Program> {
        let json = |text: &str| crate::error::html_safe(&serde_json::Value::from(text).to_string());
        let reason = rule.reason.map_or_else(|| "null".to_owned(), json);
        let optional = rule
            .optional_old_self
            .map_or("null", |optional| if optional { "true" } else { "false" });
        let shown = format!(
            "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{reason},\"FieldPath\":{},\"OptionalOldSelf\":{optional}}}",
            json(rule.rule),
            json(rule.message),
            json(rule.message_expression),
            json(rule.field_path),
        );
        self.errors.push(FieldError::new(
            FieldErrorKind::Invalid,
            path,
            None,
            format!("{shown}: {problem}"),
        ));
        None
    }

    fn observe(&mut self, path: &Path<'_>, what: &str, cost: u64) {
        if cost > RULE_LIMIT {
            let detail = too_costly(&format!("estimated {what} cost"), cost, RULE_LIMIT);
            self.errors.push(FieldError::forbidden(path, detail));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= TOTAL_LIMIT / 100 {
            self.costly.push((cost, path.to_string()));
        }
    }

    /// All errors, that of the total cost included.
    pub(crate) fn finish(mut self, root: &Path<'_>) -> Vec<FieldError> {
        if self.total > TOTAL_LIMIT {
            self.costly
                .sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            for (_, path) in self.costly.iter().take(NAMED) {
                let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
                self.errors.push(FieldError::forbidden(path, detail));
            }
            let what =
                "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
            self.errors.push(FieldError::forbidden(
                root,
                too_costly(what, self.total, TOTAL_LIMIT),
            ));
        }
        self.errors
    }
}

#[expect(clippy::cast_precision_loss, reason = "a factor to be read by people")]
fn too_costly(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > UNTOLD_FACTOR => "more than 100x".to_owned(),
        factor if factor < PRECISE_FACTOR => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}
