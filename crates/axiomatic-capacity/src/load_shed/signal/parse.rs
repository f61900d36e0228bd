//! What the kernel's files say, as pure functions of their bytes.
//!
//! None of them panics and none believes half a line: what is not understood
//! is not there.

/// The whole lines of what was read: the last one may be cut where it filled
/// the buffer.
pub(super) fn whole_lines(read: &[u8], has_filled: bool) -> &[u8] {
    if !has_filled {
        return read;
    }
    let end = read.iter().rposition(|&byte| byte == b'\n');
    &read[..end.map_or(0, |at| at + 1)]
}

/// A number alone, as in `memory.current`.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A limit: a number, or `max` for none, which is as much as can be said.
pub(super) fn limit(text: &[u8]) -> Option<u64> {
    match text.trim_ascii() {
        b"max" => Some(u64::MAX),
        text => number(text),
    }
}

/// A number by its key, as in `cpu.stat`, `memory.stat` and, with a colon and
/// a unit, `/proc/meminfo`.
pub(super) fn keyed(text: &[u8], key: &str) -> Option<u64> {
    let value = lines(text).find_map(|line| {
        let rest = line.strip_prefix(key.as_bytes())?;
        rest.first()?.is_ascii_whitespace().then_some(rest)
    })?;
    number(words(value).next()?)
}

/// A processor's time: how much of what period.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// In microseconds; `u64::MAX` for no limit.
    pub(super) quota: u64,
    /// In microseconds.
    pub(super) period: u64,
}

/// `cpu.max`: a quota or `max`, and a period.
pub(super) fn cpu_max(text: &[u8]) -> Option<Quota> {
    let mut words = words(text);
    let quota = limit(words.next()?)?;
    let period = words.next().map_or(Some(100_000), number)?;
    (quota > 0 && period > 0).then_some(Quota { quota, period })
}

/// The share of the last ten seconds in which some tasks stood still, from a
/// PSI file: in parts per million.
pub(super) fn some_avg10(text: &[u8]) -> Option<u32> {
    let some = lines(text).find_map(|line| line.strip_prefix(b"some "))?;
    let avg10 = words(some).find_map(|word| word.strip_prefix(b"avg10="))?;
    let (whole, hundredths) = match avg10.iter().position(|&byte| byte == b'.') {
        None => (avg10, &b"0"[..]),
        Some(point) => (&avg10[..point], &avg10[point + 1..]),
    };
    let hundredths = match hundredths.len() {
        1 => number(hundredths)? * 10,
        2 => number(hundredths)?,
        _ => return None,
    };
    let percent = number(whole).filter(|&percent| percent <= 100)?;
    u32::try_from(percent * 10_000 + hundredths * 100).ok()
}

/// Processors by number, as the ranges of `0-3,8,10-11`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors(Vec<(u32, u32)>);

impl Processors {
    pub(super) fn count(&self) -> u64 {
        let each = self.0.iter().map(|(from, to)| u64::from(to - from) + 1);
        each.sum()
    }

    fn contain(&self, number: u64) -> bool {
        let within = |&(from, to): &(u32, u32)| (from.into()..=to.into()).contains(&number);
        self.0.iter().any(within)
    }
}

/// The processors on which a process may run, from its `status`.
pub(super) fn allowed_processors(status: &[u8]) -> Option<Processors> {
    let list = lines(status).find_map(|line| line.strip_prefix(b"Cpus_allowed_list:"))?;
    let small = |text| u32::try_from(number(text)?).ok();
    let ranges = list.trim_ascii().split(|&byte| byte == b',').map(|range| {
        let mut ends = range.splitn(2, |&byte| byte == b'-');
        let from = small(ends.next()?)?;
        let to = ends.next().map_or(Some(from), small)?;
        (from <= to).then_some((from, to))
    });
    ranges.collect::<Option<Vec<_>>>().map(Processors)
}

/// How much of their time processors were busy since the start, in ticks.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) busy: u64,
    pub(super) all: u64,
}

/// The time of these processors in `/proc/stat`; of all of them if it has no
/// lines for these. What another machine on the same hardware took (`steal`)
/// is busy: it was not to be had.
pub(super) fn processor_ticks(stat: &[u8], processors: Option<&Processors>) -> Option<Ticks> {
    let mut sum: Option<Ticks> = None;
    for line in lines(stat) {
        let Some(rest) = line.strip_prefix(b"cpu") else {
            continue;
        };
        let mut words = words(rest);
        if rest.first().is_none_or(u8::is_ascii_whitespace) {
            continue;
        }
        let number = words.next().and_then(number);
        let is_meant =
            |number| processors.is_none_or(|processors: &Processors| processors.contain(number));
        if number.is_some_and(is_meant) {
            let one = ticks(words)?;
            let sum = sum.get_or_insert_default();
            sum.busy = sum.busy.saturating_add(one.busy);
            sum.all = sum.all.saturating_add(one.all);
        }
    }
    sum.or_else(|| {
        let all = lines(stat).find_map(|line| line.strip_prefix(b"cpu "))?;
        ticks(words(all))
    })
}

/// user, nice, system, idle, iowait, irq, softirq, steal: the guests' time,
/// which follows, is in the first two already.
fn ticks<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Ticks> {
    const IDLE: usize = 3;
    const WAITING: usize = 4;
    let mut ticks = Ticks::default();
    let mut read = 0;
    for (at, word) in words.take(8).enumerate() {
        let time = number(word)?;
        ticks.all = ticks.all.saturating_add(time);
        if at != IDLE && at != WAITING {
            ticks.busy = ticks.busy.saturating_add(time);
        }
        read += 1;
    }
    (read > IDLE).then_some(ticks)
}

/// The path of this process's cgroup of version 2: `0::/path`.
pub(super) fn unified_path(cgroup: &[u8]) -> Option<&[u8]> {
    let path = lines(cgroup).find_map(|line| line.strip_prefix(b"0::"))?;
    path.starts_with(b"/").then_some(path)
}

/// Where the tree of cgroups of version 2 is mounted, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) root: Vec<u8>,
    pub(super) point: Vec<u8>,
}

/// The first mount of cgroups of version 2 in a `mountinfo`.
pub(super) fn unified_mount(mountinfo: &[u8]) -> Option<Mount> {
    lines(mountinfo).find_map(|line| {
        let mut words = words(line);
        let (root, point) = (words.nth(3)?, words.next()?);
        // Optional fields, how many there may be, end with a dash.
        let kind = words.skip_while(|&word| word != b"-").nth(1)?;
        (kind == b"cgroup2" && point.starts_with(b"/")).then(|| Mount {
            root: unescaped(root),
            point: unescaped(point),
        })
    })
}

/// Blanks and backslashes in paths stand as `\040` and the like.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            let value = digits.iter().try_fold(0u32, |value, digit| {
                let is_octal = (b'0'..=b'7').contains(digit);
                is_octal.then(|| value * 8 + u32::from(digit - b'0'))
            })?;
            u8::try_from(value).ok()
        });
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    out
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty())
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests;
