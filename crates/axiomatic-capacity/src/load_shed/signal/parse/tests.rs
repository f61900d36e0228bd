use super::*;
use proptest::prelude::*;

#[test]
fn a_number_is_digits_and_nothing_else() {
    for (text, is) in [
        ("0\n", Some(0)),
        (" 42 \n", Some(42)),
        ("18446744073709551615\n", Some(u64::MAX)),
        ("18446744073709551616\n", None),
        ("", None),
        ("\n", None),
        ("-1\n", None),
        ("1.5\n", None),
        ("12 34\n", None),
        ("max\n", None),
        ("\0", None),
    ] {
        assert_eq!(number(text.as_bytes()), is, "{text:?}");
    }
    assert_eq!(limit(b"max\n"), Some(u64::MAX));
    assert_eq!(limit(b"1024\n"), Some(1_024));
    assert_eq!(limit(b"maximum\n"), None);
}

#[test]
fn a_key_is_a_whole_word_at_the_beginning_of_a_line() {
    let stat = b"anon 1\nfile 2\nactive_file 30\ninactive_file 40\nslab\nslab_x 5\nbad -7\n";
    for (key, is) in [
        ("anon", Some(1)),
        ("file", Some(2)),
        ("inactive_file", Some(40)),
        ("active", None),
        ("slab", None),
        ("bad", None),
        ("", None),
    ] {
        assert_eq!(keyed(stat, key), is, "{key:?}");
    }
    let meminfo = b"MemTotal:       24684092 kB\nMemAvailable:   24099020 kB\n";
    assert_eq!(keyed(meminfo, "MemTotal:"), Some(24_684_092));
    assert_eq!(keyed(meminfo, "MemAvailable:"), Some(24_099_020));
    assert_eq!(keyed(meminfo, "MemFree:"), None);
    assert_eq!(keyed(b"usage_usec 5", "usage_usec"), Some(5));
}

#[test]
fn half_a_line_is_no_line() {
    let text = b"file 12\ninactive_file 345";
    assert_eq!(whole_lines(text, false), text);
    assert_eq!(whole_lines(text, true), b"file 12\n");
    assert_eq!(whole_lines(b"file 12", true), b"");
    assert_eq!(keyed(whole_lines(text, true), "inactive_file"), None);
}

#[test]
fn a_quota_is_a_share_of_a_period() {
    let of = |quota, period| Some(Quota { quota, period });
    for (text, is) in [
        ("max 100000\n", of(u64::MAX, 100_000)),
        ("150000 100000\n", of(150_000, 100_000)),
        ("5000 10000", of(5_000, 10_000)),
        ("max\n", of(u64::MAX, 100_000)),
        ("0 100000\n", None),
        ("100000 0\n", None),
        ("max x\n", None),
        ("\n", None),
    ] {
        assert_eq!(cpu_max(text.as_bytes()), is, "{text:?}");
    }
}

#[test]
fn a_stall_is_read_to_the_hundredth() {
    let rest = "avg60=0.78 avg300=0.76 total=11500766\nfull avg10=9.00 avg60=0.00 total=0\n";
    for (avg10, is) in [
        ("0.00", Some(0)),
        ("0.42", Some(4_200)),
        ("12.5", Some(125_000)),
        ("7", Some(70_000)),
        ("100.00", Some(1_000_000)),
        ("101.00", None),
        ("-1.00", None),
        ("0.123", None),
        ("0.", None),
        (".5", None),
        ("nan", None),
    ] {
        let text = format!("some avg10={avg10} {rest}");
        assert_eq!(some_avg10(text.as_bytes()), is, "{avg10:?}");
    }
    assert_eq!(some_avg10(b"full avg10=1.00\n"), None);
    assert_eq!(some_avg10(b"some total=5\n"), None);
}

#[test]
fn processors_are_counted_by_their_ranges() {
    let counted = |list: &str| {
        let status = format!("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t{list}\nx: 1\n");
        allowed_processors(status.as_bytes()).map(|processors| processors.count())
    };
    for (list, is) in [
        ("0-3", Some(4)),
        ("0", Some(1)),
        ("0-1,8,10-11", Some(5)),
        ("0-4294967295", Some(1 << 32)),
        ("3-0", None),
        ("0-4294967296", None),
        ("", None),
        ("a-b", None),
        ("1,,2", None),
    ] {
        assert_eq!(counted(list), is, "{list:?}");
    }
    assert_eq!(allowed_processors(b"Name: x\n"), None);
}

#[test]
fn ticks_are_those_of_the_processors_that_may_be_used() {
    let stat = b"cpu  30 0 12 100 50 0 4 4 9 9\n\
        cpu0 10 0 4 50 20 0 2 0 9 9\ncpu1 20 0 8 50 30 0 2 4 0 0\nintr 5 0 0\nctxt 1\n";
    let only = |list: &str| {
        let status = format!("Cpus_allowed_list: {list}");
        allowed_processors(status.as_bytes()).unwrap()
    };
    let ticks = |busy, all| Some(Ticks { busy, all });
    assert_eq!(processor_ticks(stat, None), ticks(50, 200));
    assert_eq!(processor_ticks(stat, Some(&only("0"))), ticks(16, 86));
    assert_eq!(processor_ticks(stat, Some(&only("1"))), ticks(34, 114));
    assert_eq!(processor_ticks(stat, Some(&only("7"))), ticks(50, 200));
    // Long ago there was no steal, and nothing after idle.
    assert_eq!(processor_ticks(b"cpu 1 2 3 4\n", None), ticks(6, 10));
    for broken in [
        "",
        "cpu\n",
        "cpu 1 2 3\n",
        "cpu a b c d\n",
        "cpux 1 2 3 4\n",
    ] {
        assert_eq!(processor_ticks(broken.as_bytes(), None), None, "{broken:?}");
    }
}

#[test]
fn the_path_is_that_of_version_2() {
    let hybrid = b"4:memory:/old/one\n1:name=systemd:/x\n0::/system.slice/a b.service\n";
    assert_eq!(
        unified_path(hybrid),
        Some(&b"/system.slice/a b.service"[..])
    );
    assert_eq!(unified_path(b"0::/\n"), Some(&b"/"[..]));
    for broken in ["", "4:memory:/old\n", "0::\n", "0::relative\n", "10::/x\n"] {
        assert_eq!(unified_path(broken.as_bytes()), None, "{broken:?}");
    }
}

#[test]
fn the_mount_is_found_among_others() {
    let info = b"23 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        41 31 0:38 /docker/a /sys/fs/my\\040cgroups rw shared:4 master:5 - cgroup2 cgroup2 rw\n";
    let mount = unified_mount(info).unwrap();
    assert_eq!(mount.root, b"/docker/a");
    assert_eq!(mount.point, b"/sys/fs/my cgroups");
    for broken in [
        "",
        "41 31 0:38 / /sys/fs/cgroup rw\n",
        "41 31 0:38 / /sys/fs/cgroup rw -\n",
        "41 31 0:38 / /sys/fs/cgroup rw - cgroup cgroup2 rw\n",
        "41 31 0:38 / relative rw - cgroup2 cgroup2 rw\n",
        "- cgroup2\n",
    ] {
        assert_eq!(unified_mount(broken.as_bytes()), None, "{broken:?}");
    }
}

#[test]
fn escapes_are_undone_and_what_is_none_stays() {
    for (escaped, is) in [
        ("/a\\040b", "/a b"),
        ("/a\\134", "/a\\"),
        ("/a\\04", "/a\\04"),
        ("/a\\777", "/a\\777"),
        ("\\", "\\"),
        ("/a\\08z", "/a\\08z"),
    ] {
        assert_eq!(unescaped(escaped.as_bytes()), is.as_bytes(), "{escaped:?}");
    }
}

/// Pieces of which the kernel's files are made, so that what is made up of
/// them comes far before it is broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "cpu",
            "cpu0 ",
            "cpu ",
            "some ",
            "avg10=",
            "max",
            "0::",
            "/",
            "Cpus_allowed_list:",
            "-",
            "cgroup2 ",
            " - ",
            "\\040",
            "\\",
            "\n",
            " ",
            ",",
            ".",
            "18446744073709551615",
            "0",
            "4294967295",
            "usage_usec ",
            "99",
            "\t",
        ])
        .prop_map(|piece: &str| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_content_of_a_file_makes_a_parser_panic(text in pieces(), has_filled: bool) {
        let text = whole_lines(&text, has_filled);
        let _ = (number(text), limit(text), keyed(text, "usage_usec"), cpu_max(text));
        let _ = (unified_path(text), unified_mount(text), unescaped(text));
        if let Some(millionths) = some_avg10(text) {
            prop_assert!(millionths <= 1_010_000);
        }
        let processors = allowed_processors(text);
        if let Some(processors) = &processors {
            prop_assert!(processors.count() >= 1);
        }
        for processors in [None, processors.as_ref()] {
            if let Some(ticks) = processor_ticks(text, processors) {
                prop_assert!(ticks.busy <= ticks.all);
            }
        }
    }

    #[test]
    fn what_is_written_is_read(value: u64, quota in 1u64.., period in 1u64.., avg in 0u32..=10_000) {
        let text = format!("nr_periods 5\nusage_usec {value}\nuser_usec 1\n");
        prop_assert_eq!(keyed(text.as_bytes(), "usage_usec"), Some(value));
        let text = format!("{quota} {period}\n");
        prop_assert_eq!(cpu_max(text.as_bytes()), Some(Quota { quota, period }));
        let text = format!("some avg10={}.{:02} avg60=0.00\n", avg / 100, avg % 100);
        prop_assert_eq!(some_avg10(text.as_bytes()), Some(avg * 100));
    }
}
