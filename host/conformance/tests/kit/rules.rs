//! The sentences that cases quote are those of the WIT package.

use std::fs;

#[test]
fn each_rule_quotes_a_sentence_of_the_wit_package() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let file = fs::read_to_string(path).unwrap();
            for line in file.lines() {
                text.push_str(line.trim().trim_start_matches("///").trim());
                text.push(' ');
            }
        }
    }
    let words = |text: &str| {
        let plain = text.replace("**", "");
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = words(&text);
    for rule in rdd_conformance::all_rules() {
        assert!(text.contains(&words(rule.sentence)), "{rule:?}");
    }
}

#[test]
fn names_of_cases_are_unique_and_well_formed() {
    let table = rdd_conformance::table();
    let mut names: Vec<_> = table.iter().map(|case| case.name).collect();
    for name in &names {
        let (group, rest) = name.split_once('/').unwrap();
        for part in [group, rest] {
            assert!(
                part.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), table.len());
}
