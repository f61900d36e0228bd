use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use crate::crowd::Loads;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 50.0;
const BASE: f64 = 250.0;
const TALLEST: f64 = 200.0;

/// Two bars a shard: its requests without a bound, and with one.
pub(crate) fn draw(path: &Path, free: &Loads, bounded: &Loads) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, picture(free, bounded))
}

fn picture(free: &Loads, bounded: &Loads) -> String {
    let all = free.shards.iter().chain(&bounded.shards);
    let most = all.map(|shard| shard.requests).max().unwrap_or_default() as f64;
    let height = |requests: f64| TALLEST * requests / most.max(1.0);
    let step = (WIDTH - LEFT) / free.shards.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">Requests of each shard: \
         <tspan fill=\"#c65b3d\">unbounded</tspan>, \
         <tspan fill=\"#3d7ac6\">at most 125 % of the mean in flight</tspan></text>\n"
    );
    for (at, (without, with)) in free.shards.iter().zip(&bounded.shards).enumerate() {
        let x = LEFT + step * at as f64;
        bar(
            &mut svg,
            x,
            step * 0.38,
            height(without.requests as f64),
            "#c65b3d",
        );
        bar(
            &mut svg,
            x + step * 0.4,
            step * 0.38,
            height(with.requests as f64),
            "#3d7ac6",
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x + step * 0.39,
            BASE + 16.0,
            without.id
        );
    }
    for (share, label) in [(1.0, "mean"), (1.25, "125 %")] {
        let y = BASE - height(share * bounded.mean());
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{WIDTH}\" stroke=\"#444\" stroke-dasharray=\"4 3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 4.0,
            y + 4.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, x: f64, width: f64, height: f64, colour: &str) {
    let y = BASE - height;
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}
