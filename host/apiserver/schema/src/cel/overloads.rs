//! The functions that rules may call, with their signatures. Calls of other functions are rejected when a rule is
//! compiled.
//!
//! Each function is implemented by the evaluator or by `kube-cel`, and behaves as Kubernetes documents it. A capital
//! letter in a signature is a type variable.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::types::CelType;

/// One signature of a function.
#[derive(Clone, Debug)]
pub(super) struct FunctionOverload {
    /// The type of the receiver, if the function is a method.
    pub(super) target: Option<CelType>,
    /// The types of the arguments.
    pub(super) args: Vec<CelType>,
    /// The type of the result.
    pub(super) result: CelType,
    /// The number of type variables.
    pub(super) variable_count: usize,
}

/// All signatures: one line for each function, `name(arguments) result`, with `|` between overloads. A method begins
/// with a dot and has its receiver as its first argument. Operators have the names that the parser gives them.
const SIGNATURES: &str = "
_&&_(bool,bool) bool
_||_(bool,bool) bool
!_(bool) bool
@not_strictly_false(bool) bool
_?_:_(bool,A,A) A
_==_(A,A) bool
_!=_(A,A) bool
_<_(bool,bool) bool|(int,int) bool|(uint,uint) bool|(double,double) bool|(string,string) bool|(timestamp,timestamp) bool|(duration,duration) bool|(int,double) bool|(double,int) bool
_<=_(bool,bool) bool|(int,int) bool|(uint,uint) bool|(double,double) bool|(string,string) bool|(timestamp,timestamp) bool|(duration,duration) bool|(int,double) bool|(double,int) bool
_>_(bool,bool) bool|(int,int) bool|(uint,uint) bool|(double,double) bool|(string,string) bool|(timestamp,timestamp) bool|(duration,duration) bool|(int,double) bool|(double,int) bool
_>=_(bool,bool) bool|(int,int) bool|(uint,uint) bool|(double,double) bool|(string,string) bool|(timestamp,timestamp) bool|(duration,duration) bool|(int,double) bool|(double,int) bool
_+_(int,int) int|(uint,uint) uint|(double,double) double|(string,string) string|(bytes,bytes) bytes|(list(A),list(A)) list(A)|(timestamp,duration) timestamp|(duration,timestamp) timestamp|(duration,duration) duration
_-_(int,int) int|(uint,uint) uint|(double,double) double|(timestamp,timestamp) duration|(timestamp,duration) timestamp|(duration,duration) duration
_*_(int,int) int|(uint,uint) uint|(double,double) double
_/_(int,int) int|(uint,uint) uint|(double,double) double
_%_(int,int) int|(uint,uint) uint
-_(int) int|(double) double
@in(A,list(A)) bool|(A,map(A,B)) bool
_[_](list(A),int) A|(map(A,B),A) B|(optional(list(A)),int) optional(A)|(optional(map(A,B)),A) optional(B)
_[?_](list(A),int) optional(A)|(map(A,B),A) optional(B)|(optional(list(A)),int) optional(A)|(optional(map(A,B)),A) optional(B)

size(string) int|(bytes) int|(list(A)) int|(map(A,B)) int
.size(string) int|(bytes) int|(list(A)) int|(map(A,B)) int
dyn(A) dyn
type(A) type(A)
bool(bool) bool|(string) bool
int(int) int|(uint) int|(double) int|(string) int|(timestamp) int
uint(uint) uint|(int) uint|(double) uint|(string) uint
double(double) double|(int) double|(uint) double|(string) double
string(string) string|(bool) string|(int) string|(uint) string|(double) string|(bytes) string|(timestamp) string|(duration) string
bytes(bytes) bytes|(string) bytes
timestamp(timestamp) timestamp|(string) timestamp
duration(duration) duration|(string) duration

.contains(string,string) bool
.startsWith(string,string) bool
.endsWith(string,string) bool
.matches(string,string) bool
matches(string,string) bool
.getFullYear(timestamp) int
.getMonth(timestamp) int
.getDate(timestamp) int
.getDayOfMonth(timestamp) int
.getDayOfWeek(timestamp) int
.getDayOfYear(timestamp) int
.getHours(timestamp) int|(duration) int
.getMinutes(timestamp) int|(duration) int
.getSeconds(timestamp) int|(duration) int
.getMilliseconds(timestamp) int

.charAt(string,int) string
.indexOf(string,string) int|(string,string,int) int|(list(A),A) int
.lastIndexOf(string,string) int|(string,string,int) int|(list(A),A) int
.lowerAscii(string) string
.upperAscii(string) string
.replace(string,string,string) string|(string,string,string,int) string
.split(string,string) list(string)|(string,string,int) list(string)
.substring(string,int) string|(string,int,int) string
.trim(string) string
.join(list(string)) string|(list(string),string) string
.find(string,string) string
.findAll(string,string) list(string)|(string,string,int) list(string)

.isSorted(list(int)) bool|(list(double)) bool|(list(string)) bool|(list(bool)) bool|(list(timestamp)) bool|(list(duration)) bool
.sum(list(int)) int|(list(double)) double
.min(list(int)) int|(list(double)) double|(list(string)) string|(list(bool)) bool|(list(timestamp)) timestamp|(list(duration)) duration
.max(list(int)) int|(list(double)) double|(list(string)) string|(list(bool)) bool|(list(timestamp)) timestamp|(list(duration)) duration
sets.contains(list(A),list(A)) bool
sets.equivalent(list(A),list(A)) bool
sets.intersects(list(A),list(A)) bool

url(string) kubernetes.URL
isURL(string) bool
.getScheme(kubernetes.URL) string
.getHost(kubernetes.URL) string
.getHostname(kubernetes.URL) string
.getPort(kubernetes.URL) string
.getEscapedPath(kubernetes.URL) string
.getQuery(kubernetes.URL) map(string,list(string))

isIP(string) bool
ip(string) net.IP
ip.isCanonical(string) bool
.family(net.IP) int
.isUnspecified(net.IP) bool
.isLoopback(net.IP) bool
.isLinkLocalMulticast(net.IP) bool
.isLinkLocalUnicast(net.IP) bool
.isGlobalUnicast(net.IP) bool
isCIDR(string) bool
cidr(string) net.CIDR
.containsIP(net.CIDR,string) bool|(net.CIDR,net.IP) bool
.containsCIDR(net.CIDR,string) bool|(net.CIDR,net.CIDR) bool
.ip(net.CIDR) net.IP
.masked(net.CIDR) net.CIDR
.prefixLength(net.CIDR) int

isQuantity(string) bool
quantity(string) kubernetes.Quantity
.sign(kubernetes.Quantity) int
.isInteger(kubernetes.Quantity) bool
.asInteger(kubernetes.Quantity) int
.asApproximateFloat(kubernetes.Quantity) double
.add(kubernetes.Quantity,kubernetes.Quantity) kubernetes.Quantity|(kubernetes.Quantity,int) kubernetes.Quantity
.sub(kubernetes.Quantity,kubernetes.Quantity) kubernetes.Quantity|(kubernetes.Quantity,int) kubernetes.Quantity
isSemver(string) bool
semver(string) kubernetes.Semver
.major(kubernetes.Semver) int
.minor(kubernetes.Semver) int
.patch(kubernetes.Semver) int
.isLessThan(kubernetes.Quantity,kubernetes.Quantity) bool|(kubernetes.Semver,kubernetes.Semver) bool
.isGreaterThan(kubernetes.Quantity,kubernetes.Quantity) bool|(kubernetes.Semver,kubernetes.Semver) bool
.compareTo(kubernetes.Quantity,kubernetes.Quantity) int|(kubernetes.Semver,kubernetes.Semver) int

format.dns1123Label() kubernetes.NamedFormat
format.dns1123Subdomain() kubernetes.NamedFormat
format.dns1035Label() kubernetes.NamedFormat
format.qualifiedName() kubernetes.NamedFormat
format.labelValue() kubernetes.NamedFormat
format.uri() kubernetes.NamedFormat
format.uuid() kubernetes.NamedFormat
format.byte() kubernetes.NamedFormat
format.date() kubernetes.NamedFormat
format.datetime() kubernetes.NamedFormat
.validate(kubernetes.NamedFormat,string) optional(list(string))

.path(kubernetes.authorization.Authorizer,string) kubernetes.authorization.PathCheck
.group(kubernetes.authorization.Authorizer,string) kubernetes.authorization.GroupCheck
.serviceAccount(kubernetes.authorization.Authorizer,string,string) kubernetes.authorization.Authorizer
.resource(kubernetes.authorization.GroupCheck,string) kubernetes.authorization.ResourceCheck
.subresource(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.ResourceCheck
.namespace(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.ResourceCheck
.name(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.ResourceCheck
.fieldSelector(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.ResourceCheck
.labelSelector(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.ResourceCheck
.check(kubernetes.authorization.PathCheck,string) kubernetes.authorization.Decision|(kubernetes.authorization.ResourceCheck,string) kubernetes.authorization.Decision
.allowed(kubernetes.authorization.Decision) bool
.reason(kubernetes.authorization.Decision) string
.errored(kubernetes.authorization.Decision) bool
.error(kubernetes.authorization.Decision) string

.hasValue(optional(A)) bool
.value(optional(A)) A
.orValue(optional(A),A) A
.or(optional(A),optional(A)) optional(A)
optional.of(A) optional(A)
optional.none() optional(A)
";

/// The types that the libraries define.
const OPAQUE_TYPES: [&str; 11] = [
    "kubernetes.URL",
    "net.IP",
    "net.CIDR",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.NamedFormat",
    "kubernetes.authorization.Authorizer",
    "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.GroupCheck",
    "kubernetes.authorization.ResourceCheck",
    "kubernetes.authorization.Decision",
];

type OverloadTable = HashMap<&'static str, Vec<FunctionOverload>>;

static OVERLOADS: LazyLock<OverloadTable> =
    LazyLock::new(|| SIGNATURES.lines().filter_map(parse_line).collect());

/// Returns the overloads of a function; `None` if it does not exist.
pub(super) fn function_overloads(name: &str) -> Option<&'static [FunctionOverload]> {
    OVERLOADS.get(name).map(Vec::as_slice)
}

/// Returns the overloads of a method; `None` if it does not exist.
pub(super) fn method_overloads(name: &str) -> Option<&'static [FunctionOverload]> {
    OVERLOADS
        .get(format!(".{name}").as_str())
        .map(Vec::as_slice)
}

fn parse_line(line: &'static str) -> Option<(&'static str, Vec<FunctionOverload>)> {
    let (name, rest) = line.split_at(line.find('(')?);
    let overloads = rest
        .split('|')
        .filter_map(|text| parse_overload(name.starts_with('.'), text));
    Some((name, overloads.collect()))
}

fn parse_overload(method: bool, text: &'static str) -> Option<FunctionOverload> {
    let mut vars = Vec::new();
    let (args, result) = text.strip_prefix('(')?.rsplit_once(") ")?;
    let mut args = split_arguments(args)
        .into_iter()
        .map(|arg| parse_type(arg, &mut vars))
        .collect::<Option<Vec<_>>>()?;
    let result = parse_type(result, &mut vars)?;
    let target = (method && !args.is_empty()).then(|| args.remove(0));
    Some(FunctionOverload {
        target,
        args,
        result,
        variable_count: vars.len(),
    })
}

/// Splits at the commas that are not inside parentheses.
fn split_arguments(text: &'static str) -> Vec<&'static str> {
    let mut depth = 0;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .filter(|part| !part.is_empty())
    .collect()
}

fn parse_type(text: &'static str, vars: &mut Vec<&'static str>) -> Option<CelType> {
    if let Some((name, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let mut inner = split_arguments(inner)
            .into_iter()
            .map(|part| parse_type(part, vars));
        return Some(match name {
            "list" => CelType::list(inner.next()??),
            "map" => CelType::map(inner.next()??, inner.next()??),
            "optional" => CelType::optional(inner.next()??),
            "type" => CelType::Meta(Arc::new(inner.next()??)),
            _ => return None,
        });
    }
    Some(match text {
        "dyn" => CelType::Dyn,
        "bool" => CelType::Bool,
        "int" => CelType::Int,
        "uint" => CelType::Uint,
        "double" => CelType::Double,
        "string" => CelType::String,
        "bytes" => CelType::Bytes,
        "timestamp" => CelType::Timestamp,
        "duration" => CelType::Duration,
        "A" | "B" => {
            let index = vars.iter().position(|var| *var == text).unwrap_or_else(|| {
                vars.push(text);
                vars.len() - 1
            });
            CelType::Var(index)
        }
        _ => CelType::Opaque(OPAQUE_TYPES.into_iter().find(|name| *name == text)?),
    })
}
