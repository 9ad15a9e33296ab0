//! Draws lines and points as SVG: a few panels side by side, readable on light and dark pages.

use std::fmt::Write;

use crate::table::number;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 78.0;
const STEPS: usize = 4;
const COLOURS: [&str; 4] = ["#2563eb", "#d97706", "#16a34a", "#9333ea"];

/// One line or a set of points.
pub struct Series {
    /// For the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
    /// Points instead of a line.
    pub is_dots: bool,
}

/// One picture. Its x axis is logarithmic, base 2.
pub struct Panel {
    /// Above it.
    pub title: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// What it shows.
    pub series: Vec<Series>,
}

/// The panels side by side, all with the same x label.
pub fn draw(panels: &[Panel], x_label: &str) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        let _ = writeln!(text, "<g transform=\"translate({},0)\">", at as f64 * WIDTH);
        panel.draw(x_label, &mut text);
        text.push_str("</g>\n");
    }
    text + "</svg>\n"
}

/// The least of 1, 2 and 5 times a power of ten that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= value * 0.999_999);
    times.unwrap_or(10.0) * power
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Panel {
    fn draw(&self, x_label: &str, text: &mut String) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let most_x = points().map(|point| point.0).fold(2.0, f64::max).log2().ceil();
        let most_y = round_up(points().map(|point| point.1).fold(0.0, f64::max));
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let x = |value: f64| LEFT + value.log2() / most_x * width;
        let y = |value: f64| TOP + height - value / most_y * height;
        let _ = writeln!(
            text,
            "<text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"29\" fill=\"#555\">{}</text>",
            escape(&self.title),
            escape(&self.y_label)
        );
        for step in 0..=STEPS {
            let value = most_y * step as f64 / STEPS as f64;
            let _ = writeln!(
                text,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT + width,
                LEFT - 5.0,
                y(value) + 4.0,
                number(value),
                y = y(value),
            );
        }
        for power in 0..=most_x as i32 {
            let value = 2_f64.powi(power);
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
                x(value),
                TOP + height + 15.0
            );
        }
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            LEFT + width / 2.0,
            TOP + height + 29.0,
            escape(x_label)
        );
        for (at, (series, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            series.draw(colour, &x, &y, text);
            let (left, below) = (LEFT + (at % 2) as f64 * width / 2.0, TOP + height + 46.0);
            let _ = writeln!(
                text,
                "<rect x=\"{left}\" y=\"{y}\" width=\"9\" height=\"9\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                left + 13.0,
                below + (at / 2) as f64 * 16.0 + 8.0,
                escape(&series.name),
                y = below + (at / 2) as f64 * 16.0,
            );
        }
    }
}

impl Series {
    fn draw(
        &self,
        colour: &str,
        x: &dyn Fn(f64) -> f64,
        y: &dyn Fn(f64) -> f64,
        text: &mut String,
    ) {
        let at = |&(px, py): &(f64, f64)| (x(px), y(py));
        if self.is_dots {
            for (cx, cy) in self.points.iter().map(at) {
                let _ = writeln!(
                    text,
                    "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
                );
            }
            return;
        }
        let points: Vec<String> =
            self.points.iter().map(at).map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{}\"/>",
            points.join(" ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, end) in [(0.9, 1.0), (1.0, 1.0), (1.2, 2.0), (43.0, 50.0), (600.0, 1_000.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}: {}", round_up(value));
        }
    }

    #[test]
    fn every_point_is_inside_its_panel() {
        let points = vec![(1.0, 0.0), (8.0, 3.7), (64.0, 20.0)];
        let series = vec![Series { name: "a < b".to_owned(), points, is_dots: true }];
        let panel = Panel { title: "t".to_owned(), y_label: "y".to_owned(), series };
        let text = draw(&[panel], "shards");
        let mut circles = 0;
        for part in text.split("<circle cx=\"").skip(1) {
            let mut numbers = part.split('"').filter_map(|text| text.parse::<f64>().ok());
            let (cx, cy) = (numbers.next().unwrap(), numbers.next().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&cx) && (TOP..=HEIGHT - BOTTOM).contains(&cy));
            circles += 1;
        }
        assert_eq!(circles, 3);
        assert!(text.contains("a &lt; b"));
    }
}
