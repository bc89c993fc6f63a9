//! The readers on good files, on wrong ones, and on anything at all.

use proptest::prelude::*;

use super::*;

fn read_csv(text: &[u8]) -> Result<Read, String> {
    let mut read = Read::default();
    csv(Path::new("load.csv"), text, "load", &mut read)
        .map(|()| read)
        .map_err(|error| error.to_string())
}

fn read_m4(train: &[u8], test: &[u8]) -> Result<Read, String> {
    let mut read = Read::default();
    let (a, b) = (Path::new("train.csv"), Path::new("test.csv"));
    m4((a, train), (b, test), Duration::from_secs(3600), &mut read)
        .map(|()| read)
        .map_err(|error| error.to_string())
}

/// Name, and values with `NaN` for gaps.
fn shown(read: &Read) -> Vec<String> {
    let one = |input: &Input| format!("{} {:?}", input.name, input.values);
    read.series.iter().map(one).collect()
}

#[test]
fn one_series_with_and_without_headings() {
    let plain = "2014-04-01 00:00:00,1\n2014-04-01 00:05:00,2.5\n2014-04-01 00:15:00,4\n";
    let expected = ["load [1.0, 2.5, NaN, 4.0]"];
    let check = |text: &str| assert_eq!(shown(&read_csv(text.as_bytes()).unwrap()), expected);
    check(plain);
    check(&format!("timestamp,value\n{plain}"));
    check(&format!(
        "\"when\",\"much\"\r\n{}",
        plain.replace('\n', ",\r\n")
    ));
    check("1396310400,1\n1396310700,2.5\n1396311000,NA\n1396311300,4");
}

#[test]
fn several_series_stay_in_the_order_of_the_file() {
    let text = "series,timestamp,value\nb,10,1\na,10,7\nb,20,2\n\"a\",20,\nsparse,0,1\nsparse,1,1\nsparse,9999,1\n";
    let read = read_csv(text.as_bytes()).unwrap();
    assert_eq!(shown(&read), ["b [1.0, 2.0]", "a [7.0, NaN]"]);
    assert_eq!(read.skipped[0].series, "sparse");
    assert!(read.skipped[0].why.contains("not at equal steps"));
}

#[test]
fn a_wrong_file_is_refused_with_the_place_and_what_would_be_right() {
    let check = |text: &str, place: &str, with: &str| {
        let error = read_csv(text.as_bytes()).unwrap_err();
        assert!(error.starts_with(&format!("load.csv:{place}: ")), "{error}");
        assert!(error.contains(with), "{error}");
    };
    check("", "1:1", "`timestamp,value`");
    check("timestamp,value\n", "1:1", "no samples");
    check("1,2,3,4\n", "1:1", "4 columns");
    check("10;1\n20;2\n", "1:1", "with commas");
    check("10,1\n20,x\n", "2:4", "`x` is no number");
    check("10,1\n noon,2\n", "2:2", "`noon` is no instant");
    check(
        "10,1\n20,2,3\n",
        "2:6",
        "3 columns where the first line has 2",
    );
    check("10,1\n20\n", "2:1", "1 columns where");
    check("10,1\n20,\"2\n", "2:4", "not closed");
    check("10,1\n20,1e99\n", "2:4", "out of range");
    // The first line is headings only if nothing in it can be read.
    check("noon,2\n10,1\n", "1:1", "`noon` is no instant");
}

#[test]
fn m4_files_are_read_as_they_are_published() {
    let train =
        "\"V1\",\"V2\",\"V3\",\"V4\"\n\"H1\",\"605\",\"586\",\"\"\n\"H2\",3124,,2990\nH3,1,2,3\n";
    let test = "\"V1\",\"V2\"\nH2,2771\nH1,619,565\nH9,1\n";
    let read = read_m4(train.as_bytes(), test.as_bytes()).unwrap();
    assert_eq!(
        shown(&read),
        ["H1 [605.0, 586.0]", "H2 [3124.0, NaN, 2990.0]"]
    );
    assert_eq!(read.series[0].test.as_deref(), Some(&[619.0, 565.0][..]));
    let skipped: Vec<&str> = read.skipped.iter().map(|s| s.series.as_str()).collect();
    assert_eq!(skipped, ["H3", "H9"]);
    assert_eq!(read.skipped[0].why, "has no row in test.csv");
}

#[test]
fn wrong_m4_files_are_refused_with_the_place() {
    let check = |train: &str, error: &str| {
        let said = read_m4(train.as_bytes(), b"H1,1\n").unwrap_err();
        assert!(said.starts_with(error), "{said}");
    };
    check("", "train.csv:1:1: no series");
    check("V1,V2\n", "train.csv:1:1: no series");
    check("H1,1,2\nH1,3\n", "train.csv:2:1: `H1` stands on line 1");
    check("H1,1,2\nH2,3,x\n", "train.csv:2:6: `x` is no number");
    check("H1,1\nH2,,\n", "train.csv:2:1: no values");
}

/// Files with every oddity we know of; each is also cut, doubled and scrambled below.
const CORPUS: [&[u8]; 14] = [
    b"timestamp,value\n2014-04-01 00:00:00,18.3\n2014-04-01 00:05:00,21.9\n",
    b"series,timestamp,value\na,1,2\nb,1,2\n",
    b"\"V1\",\"V2\"\n\"H1\",\"605\",\"\"\n",
    b"H1,1,2,3,,,\nH2,4,5,6\n",
    b"\xef\xbb\xbf1,2\r\n3,4\r\n",
    b"\xff\xfe1\0,\x002\0\n\0",
    b"a,b\rc,d\r",
    b"\"\"\"\",\"\"\n,\n\",\n",
    b"1e14,1\n-1e14,1\n0,1\n",
    b"99999999999999999999,1\n-9223372036854775808,2\n",
    b"9999-12-31T23:59:59Z,1\n-009999-01-01T00:00:00Z,2\n",
    b"2014-04-01T00:00:00+25:61[Nowhere/Here],1\n",
    b"1,nan\n2,-nan\n3,-0\n4,5e-324\n",
    b"\xe2\x80\xae1,2\n\xf0\x9f\x92\xa9,\xf0\x9f\x92\xa9\n",
];

/// Reads bytes as everything; whatever is read keeps its promises.
fn read_as_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    for read in [read_csv(bytes), read_m4(bytes, bytes)] {
        match read {
            Ok(read) => {
                for input in read.series {
                    prop_assert!(!input.values.is_empty());
                    let good = |value: &f64| value.is_nan() || value.abs() <= 1e30;
                    prop_assert!(input.values.iter().all(good));
                }
            }
            Err(error) => {
                let place: Vec<&str> = error.splitn(4, ':').collect();
                prop_assert_eq!(place.len(), 4, "{}", error);
                for number in &place[1..3] {
                    prop_assert!(number.parse::<usize>().is_ok_and(|n| n > 0), "{}", error);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn odd_files_are_read_or_refused() {
    for bytes in CORPUS {
        read_as_all(bytes).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        for cut in 0..bytes.len() {
            read_as_all(&bytes[..cut]).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        }
    }
}

/// One change to a file: a place, what is put there, and how much goes.
fn change() -> impl Strategy<Value = (prop::sample::Index, Vec<u8>, usize)> {
    let bit = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            &b","[..],
            b"\"",
            b"\n",
            b"\r\n",
            b"-",
            b"e9",
            b"NaN",
            b"\xff",
            b"0000000000"
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    (any::<prop::sample::Index>(), bit, 0..6_usize)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_all(&bytes)?;
    }

    #[test]
    fn any_text_of_cells_is_read_or_refused(text in "[0-9a-z,\"\\n\\-:. T]{0,120}") {
        read_as_all(text.as_bytes())?;
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        which in 0..CORPUS.len(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut bytes = CORPUS[which].to_vec();
        for (at, bit, gone) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, bit);
        }
        read_as_all(&bytes)?;
    }

    #[test]
    fn what_is_written_is_read_back(values in prop::collection::vec(-1e6..1e6_f64, 1..50)) {
        let lines: String = (0_i64..).zip(&values).map(|(i, v)| format!("{},{v}\n", i * 300)).collect();
        let read = read_csv(lines.as_bytes()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&read.series[0].values, &values);
    }
}
