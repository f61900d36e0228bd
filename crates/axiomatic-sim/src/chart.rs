use std::fmt;
use std::ops::Range;
use std::time::Duration;

use axiomatic_core::time::saturating_nanos;

use self::scale::{LEFT, PLOT, RIGHT, SECOND, Scale, Tenths, WIDTH};
use crate::Bin;

mod scale;

// The picture, in pixels; the plots themselves are laid out in `scale`.
const HEAD: u64 = 76;
const PANEL: u64 = 190;
const PLOT_TOP: u64 = 24;
const FOOT: u64 = 26;
const LEGEND_ENTRY: u64 = 118;

/// A chart over time as SVG text: panels below each other, on one pair of
/// axes, each with areas that are stacked and lines.
///
/// The text is the same wherever it is made, so that a test can compare it
/// with a file. It has no scripts, and follows the reader's choice of light
/// or dark. It has no empty lines and keeps its styles to itself, so that it
/// can also stand in a page of Markdown.
///
/// ```
/// use axiomatic_sim::{Chart, Color, Panel};
/// use std::time::Duration;
///
/// let second = Duration::from_secs;
/// let chart = Chart::new("An outage", "requests a second", second(1))
///     .shaded(second(1)..second(2), "fault")
///     .panel(
///         Panel::new("without a breaker")
///             .area("served", Color::Blue, [10, 0, 10])
///             .area("failed", Color::Orange, [0, 10, 0])
///             .line("offered", Color::Ink, [10, 10, 10]),
///     );
/// assert!(chart.to_string().starts_with("<svg "));
/// ```
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    unit: String,
    every: Duration,
    shaded: Vec<(Range<Duration>, String)>,
    panels: Vec<Panel>,
}

/// One of the panels of a [`Chart`].
#[derive(Clone, Debug)]
pub struct Panel {
    title: String,
    areas: Vec<Layer>,
    lines: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    name: String,
    color: Color,
    values: Vec<u64>,
}

/// Colours that most readers can tell apart, on white and on black (after
/// Okabe and Ito, 2008).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Color {
    /// For what is good.
    Blue,
    /// For what failed.
    Orange,
    /// For what is bad in another way.
    Purple,
    /// For what was left alone.
    Gray,
    /// That of the text.
    Ink,
}

impl Color {
    const fn class(self) -> &'static str {
        match self {
            Color::Blue => "blue",
            Color::Orange => "orange",
            Color::Purple => "purple",
            Color::Gray => "gray",
            Color::Ink => "ink",
        }
    }
}

impl Panel {
    /// An empty panel.
    pub fn new(title: impl Into<String>) -> Self {
        Panel {
            title: title.into(),
            areas: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// What became of the requests of each bin, stacked, under a line of those
    /// that arrived.
    pub fn fates(title: impl Into<String>, bins: &[Bin]) -> Self {
        let of = |value: fn(&Bin) -> u64| bins.iter().map(value).collect::<Vec<_>>();
        Panel::new(title)
            .area("served", Color::Blue, of(|bin| bin.served))
            .area(
                "failed",
                Color::Orange,
                of(|bin| bin.failed + bin.timed_out),
            )
            .area("starved", Color::Purple, of(|bin| bin.starved))
            .area("refused", Color::Gray, of(|bin| bin.refused))
            .line("offered", Color::Ink, of(|bin| bin.offered))
    }

    /// An area on top of those before it.
    #[must_use]
    pub fn area(
        mut self,
        name: impl Into<String>,
        color: Color,
        values: impl IntoIterator<Item = u64>,
    ) -> Self {
        self.areas.push(Layer::new(name, color, values));
        self
    }

    /// A line, in front of the areas.
    #[must_use]
    pub fn line(
        mut self,
        name: impl Into<String>,
        color: Color,
        values: impl IntoIterator<Item = u64>,
    ) -> Self {
        self.lines.push(Layer::new(name, color, values));
        self
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.areas.iter().chain(&self.lines)
    }

    fn bins(&self) -> usize {
        let bins = self.layers().map(|layer| layer.values.len());
        bins.max().unwrap_or(0)
    }

    /// The sums of the areas up to and including each, topmost first: drawn
    /// in this order, each covers all but its own part of the one before.
    fn stacked(&self) -> Vec<Layer> {
        let mut sums = vec![0; self.bins()];
        let mut stacked = Vec::new();
        for area in &self.areas {
            for (sum, value) in sums.iter_mut().zip(&area.values) {
                *sum += value;
            }
            stacked.push(Layer {
                values: sums.clone(),
                ..area.clone()
            });
        }
        stacked.reverse();
        stacked
    }

    fn highest(&self) -> u64 {
        let stacked = self.stacked();
        let layers = stacked.first().into_iter().chain(&self.lines);
        let values = layers.flat_map(|layer| layer.values.iter().copied());
        values.max().unwrap_or(0)
    }
}

impl Layer {
    fn new(name: impl Into<String>, color: Color, values: impl IntoIterator<Item = u64>) -> Self {
        Layer {
            name: name.into(),
            color,
            values: values.into_iter().collect(),
        }
    }
}

impl Chart {
    /// A chart without panels, whose values are of this unit and this far
    /// apart in time.
    pub fn new(title: impl Into<String>, unit: impl Into<String>, every: Duration) -> Self {
        Chart {
            title: title.into(),
            unit: unit.into(),
            every,
            shaded: Vec::new(),
            panels: Vec::new(),
        }
    }

    /// Marks a stretch of time in all panels.
    #[must_use]
    pub fn shaded(mut self, stretch: Range<Duration>, label: impl Into<String>) -> Self {
        self.shaded.push((stretch, label.into()));
        self
    }

    /// One more panel, below the others.
    #[must_use]
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// How the values are laid out, which all panels share.
    fn scale(&self) -> Scale {
        let bins = self.panels.iter().map(Panel::bins).max().unwrap_or(0);
        let highest = self.panels.iter().map(Panel::highest).max().unwrap_or(0);
        Scale::new(saturating_nanos(self.every), bins as u64, highest)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Each rule names the chart, since a chart that stands in a page shares its
/// styles with the page.
const STYLE: &str = "\
.axiomatic-chart{max-width:100%;height:auto}
.axiomatic-chart text{font:12px system-ui,sans-serif;fill:#1f2328}
.axiomatic-chart .title{font-size:15px;font-weight:600}
.axiomatic-chart .small{font-size:11px;font-weight:400;fill:#59636e}
.axiomatic-chart .paper{fill:#fff}.axiomatic-chart .shade{fill:#1f2328;opacity:.07}.axiomatic-chart .grid{stroke:#d1d9e0}
.axiomatic-chart .blue{fill:#0072b2}.axiomatic-chart .orange{fill:#d55e00}.axiomatic-chart .purple{fill:#aa4499}.axiomatic-chart .gray{fill:#a8b0b8}.axiomatic-chart .ink{fill:#1f2328}
.axiomatic-chart .line{fill:none;stroke-width:1.2}.axiomatic-chart .line.ink{stroke:#1f2328}.axiomatic-chart .line.blue{stroke:#0072b2}
.axiomatic-chart .line.orange{stroke:#d55e00}.axiomatic-chart .line.purple{stroke:#aa4499}.axiomatic-chart .line.gray{stroke:#a8b0b8}
@media(prefers-color-scheme:dark){
.axiomatic-chart text,.axiomatic-chart .ink{fill:#f0f6fc}.axiomatic-chart .small{fill:#9198a1}
.axiomatic-chart .paper{fill:#0d1117}.axiomatic-chart .shade{fill:#f0f6fc;opacity:.12}.axiomatic-chart .grid{stroke:#3d444d}
.axiomatic-chart .blue{fill:#4aa8e0}.axiomatic-chart .orange{fill:#f08a3c}.axiomatic-chart .purple{fill:#d98bc9}.axiomatic-chart .gray{fill:#656c76}
.axiomatic-chart .line{fill:none}.axiomatic-chart .line.ink{stroke:#f0f6fc}.axiomatic-chart .line.blue{stroke:#4aa8e0}
.axiomatic-chart .line.orange{stroke:#f08a3c}.axiomatic-chart .line.purple{stroke:#d98bc9}.axiomatic-chart .line.gray{stroke:#656c76}
}";

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let height = HEAD + PANEL * self.panels.len() as u64 + FOOT;
        let title = escaped(&self.title);
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="axiomatic-chart" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
        )?;
        writeln!(f, "<title>{title}</title>")?;
        writeln!(f, "<style>{STYLE}</style>")?;
        writeln!(
            f,
            r#"<rect class="paper" width="{WIDTH}" height="{height}"/>"#
        )?;
        writeln!(
            f,
            r#"<text class="title" x="{LEFT}" y="28">{title}<tspan class="small" dx="10">{}</tspan></text>"#,
            escaped(&self.unit)
        )?;
        self.legend(f)?;
        let scale = self.scale();
        for (number, panel) in self.panels.iter().enumerate() {
            self.draw(f, &scale, HEAD + PANEL * number as u64, panel)?;
        }
        let (middle, bottom) = (LEFT + (WIDTH - LEFT - RIGHT) / 2, height - 10);
        writeln!(
            f,
            r#"<text class="small" x="{middle}" y="{bottom}" text-anchor="middle">seconds</text>"#
        )?;
        writeln!(f, "</svg>")
    }
}

impl Chart {
    /// What the layers of the first panel are; the others have the same.
    fn legend(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.panels.iter().take(1).flat_map(Panel::layers);
        for (place, layer) in layers.enumerate() {
            let x = LEFT + LEGEND_ENTRY * place as u64;
            let (class, name) = (layer.color.class(), escaped(&layer.name));
            let is_line = place >= self.panels[0].areas.len();
            let (y, height) = if is_line { (53, 2) } else { (48, 11) };
            writeln!(
                f,
                r#"<rect class="{class}" x="{x}" y="{y}" width="14" height="{height}"/><text x="{}" y="58">{name}</text>"#,
                x + 20
            )?;
        }
        Ok(())
    }

    fn draw(
        &self,
        f: &mut fmt::Formatter<'_>,
        scale: &Scale,
        top: u64,
        panel: &Panel,
    ) -> fmt::Result {
        let plot = top + PLOT_TOP;
        writeln!(
            f,
            r#"<text x="{LEFT}" y="{}">{}</text>"#,
            top + 15,
            escaped(&panel.title)
        )?;
        for (stretch, _) in &self.shaded {
            let [from, until] = [stretch.start, stretch.end].map(saturating_nanos);
            let (x, end) = (scale.x(from), scale.x(until));
            let width = x.to(end);
            writeln!(
                f,
                r#"<rect class="shade" x="{x}" y="{plot}" width="{width}" height="{PLOT}"/>"#
            )?;
        }
        for value in scale.values() {
            let y = scale.y(plot, value);
            let (right, label) = (WIDTH - RIGHT, y + Tenths::whole(4));
            writeln!(
                f,
                r#"<path class="grid" d="M{LEFT} {y}H{right}"/><text class="small" x="{}" y="{label}" text-anchor="end">{value}</text>"#,
                LEFT - 8
            )?;
        }
        let base = scale.y(plot, 0);
        for area in panel.stacked() {
            let (class, steps) = (area.color.class(), scale.steps(plot, &area.values));
            writeln!(
                f,
                r#"<path class="{class}" d="M{LEFT} {base}L{steps}V{base}Z"/>"#
            )?;
        }
        for line in &panel.lines {
            let (class, steps) = (line.color.class(), scale.steps(plot, &line.values));
            writeln!(f, r#"<path class="line {class}" d="M{steps}"/>"#)?;
        }
        // In front of the areas, which may reach up to it.
        for (stretch, label) in &self.shaded {
            let middle = (stretch.start + stretch.end) / 2;
            writeln!(
                f,
                r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
                scale.x(saturating_nanos(middle)),
                plot + 15,
                escaped(label)
            )?;
        }
        for second in scale.seconds() {
            let x = scale.x(second * SECOND);
            writeln!(
                f,
                r#"<text class="small" x="{x}" y="{}" text-anchor="middle">{second}</text>"#,
                plot + PLOT + 15
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let chart = Chart::new("<script> & co", "a < b", Duration::from_secs(1))
            .panel(Panel::new("<p>").line("</svg>", Color::Ink, [1]));
        let text = chart.to_string();
        assert!(!text.contains("<script>") && !text.contains("<p>"));
        assert_eq!(text.matches("</svg>").count(), 1);
    }
}
