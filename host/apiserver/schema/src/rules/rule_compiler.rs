//! Compiles the rules of a schema and adds up their estimated costs.

use super::declarations::{MAX_REQUEST_BYTES, declare_schema};
use super::rule_field_path;
use super::validation_rule::ValidationRule;
use crate::cel::{CelProgram, CelType, MAX_RULE_COST, MAX_SCHEMA_COST, VariableEnvironment};
use crate::compiled_rule::CompiledRule;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::{self, AdditionalProperties, ListType, SchemaNode};
use crate::path::PathRef;

/// The number of expressions that are named when the total cost exceeds the limit, the costliest first.
const MAX_NAMED_RULES: usize = 4;
/// The largest factor that messages state; above it they say `more than 100x`.
const MAX_SHOWN_FACTOR: f64 = 100.0;
/// Below this factor, messages state six decimal places, so that they do not say `1.0x`.
const PRECISE_BELOW_FACTOR: f64 = 1.5;

/// The position of a schema in its definition, as far as it matters for rules; upstream's `CELSchemaContext`.
#[derive(Clone, Debug)]
pub(crate) struct CelSchemaContext {
    /// Whether the schema is the root of a resource.
    pub(crate) is_resource: bool,
    /// The maximum number of values of the schema in one object; `None` if it is unbounded.
    max_cardinality: Option<u64>,
    /// The path of the outermost ancestor within which old and new values cannot be correlated.
    uncorrelatable_path: Option<String>,
}

impl CelSchemaContext {
    /// Returns the context of the root of a definition.
    pub(crate) fn root() -> Self {
        Self {
            is_resource: true,
            max_cardinality: Some(1),
            uncorrelatable_path: None,
        }
    }

    /// Returns the context of a property; `is_resource` says whether the child is an embedded resource.
    pub(crate) fn child_property(
        &self,
        parent: &SchemaNode,
        path: &PathRef<'_>,
        is_resource: bool,
    ) -> Self {
        let uncorrelatable = parent.atomic_map.then(|| path.to_string());
        self.child(parent, uncorrelatable, is_resource)
    }

    /// Returns the context of the values of a map.
    pub(crate) fn child_additional_properties(
        &self,
        parent: &SchemaNode,
        is_resource: bool,
    ) -> Self {
        self.child(parent, None, is_resource)
    }

    /// Returns the context of the items of a list.
    pub(crate) fn child_items(
        &self,
        parent: &SchemaNode,
        path: &PathRef<'_>,
        is_resource: bool,
    ) -> Self {
        let uncorrelatable =
            (!matches!(parent.list_type, ListType::Map(_))).then(|| path.to_string());
        self.child(parent, uncorrelatable, is_resource)
    }

    fn child(
        &self,
        parent: &SchemaNode,
        uncorrelatable: Option<String>,
        is_resource: bool,
    ) -> Self {
        let limit = |limit: Option<i64>| limit.map(|limit| u64::try_from(limit).unwrap_or(0));
        let factor = match (parent.schema_type, &parent.additional_properties) {
            (Some(node::SchemaType::Array), _) => limit(parent.validation.max_items),
            (Some(node::SchemaType::Object), AdditionalProperties::Unset) => Some(1),
            (Some(node::SchemaType::Object), _) => limit(parent.validation.max_properties),
            _ => Some(1),
        };
        Self {
            is_resource,
            max_cardinality: self
                .max_cardinality
                .zip(factor)
                .map(|(max_cardinality, factor)| max_cardinality.saturating_mul(factor)),
            uncorrelatable_path: self.uncorrelatable_path.clone().or(uncorrelatable),
        }
    }
}

/// Compiles the rules of all schemas of a definition.
#[derive(Debug, Default)]
pub(crate) struct RuleCompiler {
    errors: Vec<FieldError>,
    total_cost: u64,
    costly_rules: Vec<(u64, String)>,
}

impl RuleCompiler {
    /// Compiles the rules of one schema. `node` is the compiled schema without them.
    pub(crate) fn compile_rules(
        &mut self,
        rules: &[ValidationRule<'_>],
        node: &SchemaNode,
        context: &CelSchemaContext,
        path: &PathRef<'_>,
    ) -> Vec<CompiledRule> {
        if rules.is_empty() {
            return Vec::new();
        }
        let path = path.field("x-kubernetes-validations");
        let Some(self_decl) = declare_schema(node, context.is_resource) else {
            let detail =
                "rules are not supported on this schema: it has no type that CEL can represent";
            self.errors.push(FieldError::forbidden(path, detail));
            return Vec::new();
        };
        let max_cardinality = context
            .max_cardinality
            .unwrap_or(MAX_REQUEST_BYTES / (self_decl.min_serialized_size + 1));
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let environment =
                VariableEnvironment::for_rule(&self_decl, rule.optional_old_self == Some(true));
            compiled.extend(self.compile_rule(
                rule,
                node,
                &environment,
                (context, max_cardinality),
                &path.index(index),
            ));
        }
        compiled
    }

    fn compile_rule(
        &mut self,
        rule: &ValidationRule<'_>,
        node: &SchemaNode,
        environment: &VariableEnvironment,
        (context, max_cardinality): (&CelSchemaContext, u64),
        path: &PathRef<'_>,
    ) -> Option<CompiledRule> {
        let errors_before = self.errors.len();
        let field_path = match rule.field_path {
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
        let program = match CelProgram::compile(rule.rule, environment) {
            Err(error) => self.reject(&rule_path, rule, &format!("compilation failed: {error}")),
            Ok(program) if !matches!(program.result_type, CelType::Bool) => {
                self.reject(&rule_path, rule, "cel expression must evaluate to a bool")
            }
            Ok(program) => Some(program),
        };
        if let Some(program) = &program {
            self.add_cost(
                &rule_path,
                "rule",
                program.max_cost.saturating_mul(max_cardinality),
            );
        }
        let message_program = self.compile_message_expression(rule, environment, path);
        let uses_old_self = program
            .as_ref()
            .is_some_and(|program| program.uses_old_self);
        if let Some(within) = context
            .uncorrelatable_path
            .as_ref()
            .filter(|_| uses_old_self)
        {
            let detail = format!(
                "oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"
            );
            self.errors
                .push(FieldError::invalid(rule_path, rule.rule, detail));
        }
        if let Some(optional) = rule.optional_old_self.filter(|_| !uses_old_self) {
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
        let message = match rule.message.trim() {
            "" => format!("failed rule: {}", rule.rule.trim()),
            message => message.to_owned(),
        };
        let error_kind = match rule.reason {
            Some("FieldValueForbidden") => FieldErrorKind::Forbidden,
            Some("FieldValueRequired") => FieldErrorKind::Required,
            Some("FieldValueDuplicate") => FieldErrorKind::Duplicate,
            _ => FieldErrorKind::Invalid,
        };
        Some(CompiledRule {
            program: program?,
            message_program,
            message,
            error_kind,
            field_path,
            optional_old_self: rule.optional_old_self == Some(true),
        })
    }

    fn compile_message_expression(
        &mut self,
        rule: &ValidationRule<'_>,
        environment: &VariableEnvironment,
        path: &PathRef<'_>,
    ) -> Option<CelProgram> {
        if rule.message_expression.is_empty() {
            return None;
        }
        let path = path.field("messageExpression");
        let program = match CelProgram::compile(rule.message_expression, environment) {
            Err(error) => self.reject(
                &path,
                rule,
                &format!("messageExpression compilation failed: {error}"),
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

    /// Reports an error that shows the whole rule, with its fields in upstream's order.
    fn reject(
        &mut self,
        path: &PathRef<'_>,
        rule: &ValidationRule<'_>,
        detail: &str,
    ) -> Option<CelProgram> {
        let json =
            |text: &str| crate::error::escape_html(&serde_json::Value::from(text).to_string());
        let reason = rule.reason.map_or_else(|| "null".to_owned(), json);
        let optional = rule
            .optional_old_self
            .map_or("null", |optional| if optional { "true" } else { "false" });
        let rule_json = format!(
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
            format!("{rule_json}: {detail}"),
        ));
        None
    }

    fn add_cost(&mut self, path: &PathRef<'_>, subject: &str, cost: u64) {
        if cost > MAX_RULE_COST {
            let detail =
                over_budget_message(&format!("estimated {subject} cost"), cost, MAX_RULE_COST);
            self.errors.push(FieldError::forbidden(path, detail));
        }
        self.total_cost = self.total_cost.saturating_add(cost);
        if cost >= MAX_SCHEMA_COST / 100 {
            self.costly_rules.push((cost, path.to_string()));
        }
    }

    /// Returns all errors, including that of the total cost.
    pub(crate) fn finish(mut self, root: &PathRef<'_>) -> Vec<FieldError> {
        if self.total_cost > MAX_SCHEMA_COST {
            self.costly_rules
                .sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            for (_, path) in self.costly_rules.iter().take(MAX_NAMED_RULES) {
                let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
                self.errors.push(FieldError::forbidden(path, detail));
            }
            let subject =
                "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
            self.errors.push(FieldError::forbidden(
                root,
                over_budget_message(subject, self.total_cost, MAX_SCHEMA_COST),
            ));
        }
        self.errors
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the factor is for people to read"
)]
fn over_budget_message(subject: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > MAX_SHOWN_FACTOR => "more than 100x".to_owned(),
        factor if factor < PRECISE_BELOW_FACTOR => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{subject} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}
