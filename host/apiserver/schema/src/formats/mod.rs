//! The format registry: the string formats that are validated. Other formats are ignored, with a warning when the
//! definition is written.

mod address;
mod checksum;
mod text;
mod time;

pub(crate) use time::parse_duration;

/// A format and its validator.
#[derive(Clone, Debug)]
pub(crate) struct StringFormat {
    /// The name as the schema spells it, for messages.
    pub(crate) name: String,
    validator: fn(&str) -> bool,
}

impl StringFormat {
    /// Returns the format with this name; `None` if it is not validated.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            validator: validator_for(name)?,
        })
    }

    pub(crate) fn is_valid(&self, text: &str) -> bool {
        (self.validator)(text)
    }
}

fn validator_for(name: &str) -> Option<fn(&str) -> bool> {
    // Dashes are ignored: `date-time` and `datetime` are the same format.
    Some(match name.replace('-', "").as_str() {
        "bsonobjectid" => text::is_bson_object_id,
        "uri" => address::is_request_uri,
        "email" => address::is_email,
        "hostname" => address::is_hostname,
        "ipv4" => address::is_ipv4,
        "ipv6" => address::is_ipv6,
        "cidr" => address::is_cidr,
        "mac" => address::is_mac,
        "uuid" => text::is_uuid,
        "uuid3" => text::is_uuid3,
        "uuid4" => text::is_uuid4,
        "uuid5" => text::is_uuid5,
        "isbn" => checksum::is_isbn,
        "isbn10" => checksum::is_isbn10,
        "isbn13" => checksum::is_isbn13,
        "creditcard" => checksum::is_credit_card,
        "ssn" => text::is_ssn,
        "hexcolor" => text::is_hex_color,
        "rgbcolor" => text::is_rgb_color,
        "byte" => text::is_base64,
        "password" => |_| true,
        "date" => time::is_date,
        "duration" => |text| parse_duration(text).is_some(),
        "datetime" => time::is_date_time,
        "k8sshortname" => text::is_short_name,
        "k8slongname" => text::is_long_name,
        _ => return None,
    })
}
