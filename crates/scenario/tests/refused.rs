//! What a scenario file may not say, and how it is told.

use evenkeel_scenario::{Moment, Scenario};

/// The problems of a text, with the file's name as `x.toml`.
fn problems(text: &str) -> String {
    match Scenario::from_toml("x.toml", text) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

/// A file with one number, and these keys in its property.
fn with(keys: &str) -> String {
    format!(
        "length = \"1d\"\n[[resource]]\nname = \"a\"\n[[resource.property]]\npath = \"p\"\napproved = 5\n{keys}\n"
    )
}

#[track_caller]
fn refused(text: &str, place: &str, parts: &[&str]) {
    let said = problems(text);
    assert!(said.starts_with(&format!("x.toml:{place}: ")), "{said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn what_fits_is_taken() {
    assert_eq!(problems(&with("")), "");
    assert_eq!(
        problems(&with("limits = { upper = 9.5 }\nquantum = 0.5")),
        ""
    );
}

#[test]
fn unknown_keys_are_refused_with_the_right_ones() {
    refused(
        &with("tolerence = 3"),
        "7:1",
        &["unknown field `tolerence`", "`tolerance`"],
    );
    refused(
        &with("course = [{ rampe = { by = 1, over = \"1h\" } }]"),
        "7:13",
        &["unknown variant `rampe`", "`ramp`"],
    );
    refused(
        &with("course = [{ ramp = { by = 1, over = \"1h\", shape = \"x\" } }]"),
        "7:43",
        &["unknown field `shape`", "`bend`"],
    );
    refused(
        "length = \"1d\"\n[policy]\nmode = \"acts\"\n",
        "3:8",
        &["`act`"],
    );
}

#[test]
fn values_are_refused_where_they_stand() {
    refused("length = \"1 day\"\n", "1:10", &["not a span", "`1h30m`"]);
    refused("length = \"0s\"\n", "1:10", &["a span of nothing"]);
    refused(
        &with("course = [{ noise = { sd = -1 } }]"),
        "7:28",
        &["-1 does not fit", "above 0"],
    );
    refused(
        &with("course = [{ step = { at = \"soon\", by = 1 } }]"),
        "7:27",
        &["`soon` is not a moment", "2h30m"],
    );
    refused(
        &with("tolerance = \"much\""),
        "7:13",
        &["not a tolerance", "\"20%\""],
    );
    refused(&with("unreadable = 1.5"), "7:14", &["between 0 and 1"]);
}

#[test]
fn contradictions_are_refused_all_at_once() {
    let text = with(
        "tolerance = 1\nlimits = { upper = 4 }\ncourse = [\n  { noise = { sd = 1 } },\n  { grow = { every = \"1h\" } },\n]",
    );
    let said = problems(&text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("x.toml:8:1: there is a tolerance too"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("x.toml:8:1: the approved value 5 is outside"),
        "{said}"
    );
    assert!(
        lines[2].starts_with("x.toml:11:5: `grow` does not move a number"),
        "{said}"
    );
}

#[test]
fn references_lead_somewhere() {
    let more = "[[approval]]\nat = \"1h\"\nresource = \"b\"\n[[approval]]\nat = \"1h\"\npaths = [\"q\"]\n\
                [[window]]\nat = \"1h\"\nfor = \"1h\"\nresource = \"c\"\n";
    let said = problems(&(with("") + more));
    assert!(
        said.contains("x.toml:10:1: there is no resource `b`; there is `a`"),
        "{said}"
    );
    assert!(
        said.contains("x.toml:13:1: there is no property `q`"),
        "{said}"
    );
    assert!(
        said.contains("x.toml:17:1: there is no resource `c`"),
        "{said}"
    );
}

#[test]
fn a_policy_out_of_range_is_refused() {
    let text = "[policy]\nrisk_tolerance = 2\nsustain = [4, 3]\nband_floor = 2\nhorizon = \"1s\"\n";
    let said = problems(&(with("") + text));
    for line in ["x.toml:9:1", "x.toml:10:1", "x.toml:11:1", "x.toml:12:1"] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
}

#[test]
fn values_are_of_the_kind_of_their_property() {
    refused(
        &with("kind = \"flag\""),
        "6:1",
        &["`5` is a number, and not a flag"],
    );
    let choice = "length = \"1d\"\n[[resource]]\nname = \"a\"\n[[resource.property]]\npath = \"p\"\n\
                  kind = \"choice\"\napproved = \"warn\"\ncourse = [{ change = { at = \"1h\", to = 3 } }]\n";
    refused(choice, "8:35", &["a number, and the property a choice"]);
    assert_eq!(problems(&choice.replace("to = 3", "to = \"debug\"")), "");
    refused(
        &with("").replace("approved = 5", "approved = 2026-01-01"),
        "6:12",
        &["write it as text"],
    );
}

#[test]
fn moments_are_spans_or_instants() {
    let at = |written: &str| {
        let text = with(&format!("course = [{{ vanish = {{ at = {written} }} }}]"));
        let scenario = Scenario::from_toml("x.toml", &text);
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
        let evenkeel_scenario::Component::Vanish(vanish) =
            &scenario.resource[0].property[0].course[0]
        else {
            panic!("it vanishes");
        };
        (vanish.at, scenario.instant(vanish.at).to_string())
    };
    let (moment, instant) = at("\"1h30m\"");
    assert!(matches!(moment, Moment::After(_)));
    assert_eq!(instant, "2026-01-05T01:30:00.000Z");
    for written in ["2026-01-05T01:30:00Z", "\"2026-01-05T02:30:00+01:00\""] {
        let (moment, instant) = at(written);
        assert!(matches!(moment, Moment::At(_)), "{written}");
        assert_eq!(instant, "2026-01-05T01:30:00.000Z", "{written}");
    }
}
