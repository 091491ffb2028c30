"""A bar chart as SVG text: no library, so that the report can be made wherever Python is."""

from html import escape

COLORS = ("#1f6f8b", "#7fb7be", "#d98e04", "#8a8a8a", "#5b8c5a")
BAR, GAP, LEFT, WIDTH = 16, 26, 90, 760


def bars(title, groups, names, values):
    """Horizontal bars: one group a row of `groups`, one bar a name; `values[name][group]` or None."""
    peak = max((value for row in values.values() for value in row.values() if value), default=1)
    scale = (WIDTH - LEFT - 90) / peak
    parts, y = [], 64 + 18 * ((len(names) + 1) // 2)
    for group in groups:
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + BAR * len(names) / 2 + 4:.0f}" text-anchor="end">{escape(group)}</text>'
        )
        for index, name in enumerate(names):
            value = values[name].get(group)
            top = y + BAR * index
            if value is None:
                parts.append(f'<text x="{LEFT + 4}" y="{top + 12}" class="faint">not measured</text>')
                continue
            length = max(1.0, value * scale)
            parts.append(
                f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 3}" fill="{COLORS[index % len(COLORS)]}"/>'
                f'<text x="{LEFT + length + 6:.1f}" y="{top + 11}" class="value">{value:,.0f}</text>'
            )
        y += BAR * len(names) + GAP
    legend = "".join(
        f'<rect x="{20 + 370 * (i % 2)}" y="{44 + 18 * (i // 2)}" width="12" height="12" fill="{COLORS[i % len(COLORS)]}"/>'
        f'<text x="{38 + 370 * (i % 2)}" y="{54 + 18 * (i // 2)}">{escape(name)}</text>'
        for i, name in enumerate(names)
    )
    style = "text{font:12px sans-serif;fill:#222}.value{font-size:11px}.faint{fill:#999;font-size:11px}.title{font-size:15px;font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{y}" fill="#fff"/>'
        f'<text x="20" y="26" class="title">{escape(title)}</text>{legend}{"".join(parts)}</svg>\n'
    )
