//! Rules of one schema: compiled, their costs added up.

use super::cost::{MAX_RULE_COST, MAX_SCHEMA_COST};
use super::declarations::{MAX_REQUEST_BYTES, declare_schema};
use super::program::CelProgram;
use super::rule_field_path::{self, FieldPathSegment};
use super::type_checker::RuleEnvironment;
use super::types::CelType;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::{self, AdditionalProperties, ListType, SchemaNode};
use crate::parse::ValidationRule;
use crate::path::PathRef;

/// How many of the costliest expressions are named when all together are too costly.
const MAX_NAMED_RULES: usize = 4;
/// From this factor on it is not told by how much a limit is exceeded.
const MAX_SHOWN_FACTOR: f64 = 100.0;
/// Below this factor it is told precisely.
const PRECISE_BELOW_FACTOR: f64 = 1.5;

/// One rule, ready to judge.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(super) program: CelProgram,
    pub(super) message_program: Option<CelProgram>,
    /// What is said of a failure if no message expression says it.
    pub(super) message: String,
    /// The same where the rule itself went wrong.
    pub(super) error_kind: FieldErrorKind,
    pub(super) field_path: Vec<FieldPathSegment>,
    pub(super) optional_old_self: bool,
}

/// Where a schema stands, as far as its rules are concerned.
#[derive(Clone, Debug)]
pub(crate) struct CelSchemaContext {
    /// Whether it is the root of a resource.
    pub(crate) is_resource: bool,
    /// How many values it can have in one object; none if nothing bounds that.
    max_cardinality: Option<u64>,
    /// The schema above within which old and new values cannot be told to be the same.
    uncorrelatable_path: Option<String>,
}

impl CelSchemaContext {
    /// The root of a definition.
    pub(crate) fn root() -> Self {
        Self {
            is_resource: true,
            max_cardinality: Some(1),
            uncorrelatable_path: None,
        }
    }

    /// A property of the schema at this place.
    pub(crate) fn child_property(
        &self,
        parent: &SchemaNode,
        path: &PathRef<'_>,
        child_embedded: bool,
    ) -> Self {
        let uncorrelatable = parent.atomic_map.then(|| path.to_string());
        self.child(parent, uncorrelatable, child_embedded)
    }

    /// The values of the map at this place.
    pub(crate) fn child_additional_properties(
        &self,
        parent: &SchemaNode,
        child_embedded: bool,
    ) -> Self {
        self.child(parent, None, child_embedded)
    }

    /// The items of the list at this place.
    pub(crate) fn child_items(
        &self,
        parent: &SchemaNode,
        path: &PathRef<'_>,
        child_embedded: bool,
    ) -> Self {
        let uncorrelatable =
            (!matches!(parent.list_type, ListType::Map(_))).then(|| path.to_string());
        self.child(parent, uncorrelatable, child_embedded)
    }

    fn child(&self, parent: &SchemaNode, uncorrelatable: Option<String>, resource: bool) -> Self {
        let limit = |limit: Option<i64>| limit.map(|limit| u64::try_from(limit).unwrap_or(0));
        let factor = match (parent.schema_type, &parent.additional_properties) {
            (Some(node::SchemaType::Array), _) => limit(parent.validation.max_items),
            (Some(node::SchemaType::Object), AdditionalProperties::Unset) => Some(1),
            (Some(node::SchemaType::Object), _) => limit(parent.validation.max_properties),
            _ => Some(1),
        };
        Self {
            is_resource: resource,
            max_cardinality: self
                .max_cardinality
                .zip(factor)
                .map(|(cardinality, factor)| cardinality.saturating_mul(factor)),
            uncorrelatable_path: self.uncorrelatable_path.clone().or(uncorrelatable),
        }
    }
}

/// Compiles the rules of a whole definition.
#[derive(Debug, Default)]
pub(crate) struct RuleCompiler {
    errors: Vec<FieldError>,
    total_cost: u64,
    costly_rules: Vec<(u64, String)>,
}

impl RuleCompiler {
    /// Compiles the rules of one schema, which is complete but for them.
    pub(crate) fn compile_rules(
        &mut self,
        rules: &[ValidationRule<'_>],
        node: &SchemaNode,
        place: &CelSchemaContext,
        path: &PathRef<'_>,
    ) -> Vec<CompiledRule> {
        if rules.is_empty() {
            return Vec::new();
        }
        let path = path.field("x-kubernetes-validations");
        let Some(decl) = declare_schema(node, place.is_resource) else {
            let detail = "rules cannot see a value of this schema: it has no type that rules know";
            self.errors.push(FieldError::forbidden(path, detail));
            return Vec::new();
        };
        let cardinality = place
            .max_cardinality
            .unwrap_or(MAX_REQUEST_BYTES / (decl.min_serialized_size + 1));
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let scope = RuleEnvironment {
                self_decl: decl.clone(),
                optional_old_self: rule.optional_old_self == Some(true),
            };
            compiled.extend(self.compile_rule(
                rule,
                node,
                &scope,
                (place, cardinality),
                &path.index(index),
            ));
        }
        compiled
    }

    fn compile_rule(
        &mut self,
        rule: &ValidationRule<'_>,
        node: &SchemaNode,
        scope: &RuleEnvironment,
        (place, cardinality): (&CelSchemaContext, u64),
        path: &PathRef<'_>,
    ) -> Option<CompiledRule> {
        let errors_before = self.errors.len();
        let field = match rule.field_path {
            "" => Vec::new(),
            text => rule_field_path::parse(node, text).unwrap_or_else(|| {
                self.errors.push(FieldError::invalid(
                    path.field("fieldPath"),
                    text,
                    "must be a valid path",
                ));
                Vec::new()
            }),
        };
        let rule_path = path.field("rule");
        let program = match CelProgram::compile(rule.rule, scope) {
            Err(problem) => {
                self.reject(&rule_path, rule, &format!("compilation failed: {problem}"))
            }
            Ok(program) if !matches!(program.result_type, CelType::Bool) => {
                self.reject(&rule_path, rule, "cel expression must evaluate to a bool")
            }
            Ok(program) => Some(program),
        };
        if let Some(program) = &program {
            self.add_cost(
                &rule_path,
                "rule",
                program.max_cost.saturating_mul(cardinality),
            );
        }
        let message = self.compile_message_expression(rule, scope, path);
        let uses_old = program
            .as_ref()
            .is_some_and(|program| program.uses_old_self);
        if let Some(within) = place.uncorrelatable_path.as_ref().filter(|_| uses_old) {
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
        Some(CompiledRule {
            program: program?,
            message_program: message,
            message: text,
            error_kind: kind,
            field_path: field,
            optional_old_self: scope.optional_old_self,
        })
    }

    fn compile_message_expression(
        &mut self,
        rule: &ValidationRule<'_>,
        scope: &RuleEnvironment,
        path: &PathRef<'_>,
    ) -> Option<CelProgram> {
        if rule.message_expression.is_empty() {
            return None;
        }
        let path = path.field("messageExpression");
        let program = match CelProgram::compile(rule.message_expression, scope) {
            Err(problem) => self.reject(
                &path,
                rule,
                &format!("messageExpression compilation failed: {problem}"),
            ),
            Ok(program) if !matches!(program.result_type, CelType::String) => {
                self.reject(&path, rule, "messageExpression must evaluate to a string")
            }
            Ok(program) => Some(program),
        };
        if let Some(program) = &program {
            self.add_cost(&path, "messageExpression", program.max_cost);
        }
        program
    }

    /// Reports an error that shows the whole rule, its members in upstream's order.
    fn reject(
        &mut self,
        path: &PathRef<'_>,
        rule: &ValidationRule<'_>,
        problem: &str,
    ) -> Option<CelProgram> {
        let json =
            |text: &str| crate::error::escape_html(&serde_json::Value::from(text).to_string());
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

    fn add_cost(&mut self, path: &PathRef<'_>, what: &str, cost: u64) {
        if cost > MAX_RULE_COST {
            let detail =
                over_budget_message(&format!("estimated {what} cost"), cost, MAX_RULE_COST);
            self.errors.push(FieldError::forbidden(path, detail));
        }
        self.total_cost = self.total_cost.saturating_add(cost);
        if cost >= MAX_SCHEMA_COST / 100 {
            self.costly_rules.push((cost, path.to_string()));
        }
    }

    /// All errors, that of the total cost included.
    pub(crate) fn finish(mut self, root: &PathRef<'_>) -> Vec<FieldError> {
        if self.total_cost > MAX_SCHEMA_COST {
            self.costly_rules
                .sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            for (_, path) in self.costly_rules.iter().take(MAX_NAMED_RULES) {
                let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
                self.errors.push(FieldError::forbidden(path, detail));
            }
            let what =
                "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
            self.errors.push(FieldError::forbidden(
                root,
                over_budget_message(what, self.total_cost, MAX_SCHEMA_COST),
            ));
        }
        self.errors
    }
}

#[expect(clippy::cast_precision_loss, reason = "a factor to be read by people")]
fn over_budget_message(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > MAX_SHOWN_FACTOR => "more than 100x".to_owned(),
        factor if factor < PRECISE_BELOW_FACTOR => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}
