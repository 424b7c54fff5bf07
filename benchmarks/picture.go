package benchmarks

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"gilt"
)

// pictured is the workload that --picture draws.
const pictured = "attach_under_hog"

// checkPicture says before anything is measured why a picture could not be written.
func checkPicture(name string, chosen []workload) error {
	if ext := filepath.Ext(name); ext != ".svg" && ext != ".png" {
		return fmt.Errorf("--picture %s: give a file name that ends in .svg or .png", name)
	}
	if dir := filepath.Dir(name); !isDir(dir) {
		return fmt.Errorf("--picture %s: there is no directory %s", name, dir)
	}
	for _, w := range chosen {
		if w.name == pictured {
			return nil
		}
	}
	return fmt.Errorf("--picture %s: it is drawn of %s, which --run leaves out", name, pictured)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// drawPicture writes the latencies of attach_under_hog to a file of that name: two strips of dots, one a
// call, on one logarithmic axis of time.
func drawPicture(name string, r result, info gilt.Info) error {
	p, err := strips([]strip{ // from the bottom
		{"gilt", r.calls[ours], color.NRGBA{0x00, 0x72, 0xB2, 0xFF}},
		{"raw GIL", r.calls[raw], color.NRGBA{0xD5, 0x5E, 0x00, 0xFF}},
	})
	if err != nil {
		return fmt.Errorf("--picture %s: %w", name, err)
	}
	const width, height, margin = 10 * vg.Inch, 4.6 * vg.Inch, vg.Length(14)
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if filepath.Ext(name) == ".png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(160))}
	} else {
		canvas = vgsvg.New(width, height)
	}
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	inner := draw.Crop(page, margin, -margin, margin, -margin)
	inner.FillText(write(18, xfont.WeightBold, ink, draw.XLeft, draw.YTop), vg.Point{X: inner.Min.X, Y: inner.Max.Y},
		"A short Python call beside one endless Python loop: how long it waits")
	inner.FillText(write(10, xfont.WeightNormal, faint, draw.XLeft, draw.YBottom), inner.Min, smallPrint(r, info))
	p.Draw(draw.Crop(inner, 0, 0, 24, -34))
	var file bytes.Buffer
	if _, err := canvas.WriteTo(&file); err != nil {
		return fmt.Errorf("--picture %s: %w", name, err)
	}
	// The widths are those of Arial, which most readers have, while few have Liberation.
	data := bytes.ReplaceAll(file.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("--picture: %w", err)
	}
	return nil
}

func smallPrint(r result, info gilt.Info) string {
	return fmt.Sprintf("One dot is one call of f(x), one each 0.5 to 2 ms: %d through gilt, %d through the raw GIL with its own switch interval, 5 ms. "+
		"CPython %s, %d processors.", len(r.calls[ours]), len(r.calls[raw]), info.Version, runtime.NumCPU())
}

var ink, faint = color.Gray{0x22}, color.Gray{0x66}

func write(points float64, weight xfont.Weight, c color.Color, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color:  c,
		Font:   font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weight, Size: vg.Points(points)},
		XAlign: x, YAlign: y,
		Handler: plot.DefaultTextHandler,
	}
}

// strip is one row of dots.
type strip struct {
	name  string
	calls []float64 // nanoseconds
	color color.NRGBA
}

// strips has a row for each, the first at the bottom.
func strips(rows []strip) (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = nil
	least, most := math.Inf(1), 0.0
	var names plot.ConstantTicks
	for i, row := range rows {
		least, most = min(least, quantile(row.calls, 0)), max(most, quantile(row.calls, 1))
		names = append(names, plot.Tick{Value: float64(i), Label: row.name})
	}
	p.X.Min, p.X.Max = least/1.3, most*1.3
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(timeTicks)
	p.X.Tick.Label = write(13, xfont.WeightNormal, ink, draw.XCenter, draw.YTop)
	p.X.Label.Text, p.X.Label.Padding = "how long one call took (logarithmic axis)", 4
	p.X.Label.TextStyle = write(13, xfont.WeightNormal, ink, draw.XCenter, draw.YBottom)
	p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
	p.Y.Tick.Marker, p.Y.Tick.Length, p.Y.LineStyle.Width = names, 0, 0
	p.Y.Tick.Label = write(18, xfont.WeightBold, ink, draw.XRight, draw.YCenter)
	grid := plotter.NewGrid()
	grid.Horizontal.Width, grid.Vertical.Color = 0, color.Gray{0xDD}
	p.Add(grid)
	for i, row := range rows {
		if err := row.addTo(p, float64(i)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// addTo draws the row at that height, with its p50 and p99: the one's text ends at its mark, the other's
// begins there, so that they do not meet when the marks do.
func (s strip) addTo(p *plot.Plot, at float64) error {
	random := rand.New(rand.NewPCG(3, 4))
	dots := make(plotter.XYs, len(s.calls))
	for i, ns := range s.calls {
		dots[i] = plotter.XY{X: ns, Y: at + 0.46*(random.Float64()-0.5)}
	}
	scatter, err := plotter.NewScatter(dots)
	if err != nil {
		return err
	}
	dot := s.color
	dot.A = 0x50
	scatter.GlyphStyle = draw.GlyphStyle{Color: dot, Radius: 2.2, Shape: draw.CircleGlyph{}}
	p.Add(scatter)
	for _, mark := range []struct {
		name  string
		p     float64
		align text.XAlignment
		shift vg.Length
	}{{"p50", 0.5, draw.XRight, 3}, {"p99", 0.99, draw.XLeft, -3}} {
		ns := quantile(s.calls, mark.p)
		line, err := plotter.NewLine(plotter.XYs{{X: ns, Y: at + 0.25}, {X: ns, Y: at + 0.44}})
		if err != nil {
			return err
		}
		line.Color, line.Width = s.color, 2
		label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: ns, Y: at + 0.44}}, Labels: []string{mark.name + " " + milliseconds(ns)}})
		if err != nil {
			return err
		}
		label.TextStyle[0] = write(15, xfont.WeightBold, s.color, mark.align, draw.YTop)
		label.Offset.X = -mark.shift
		p.Add(line, label)
	}
	return nil
}

// timeTicks has a tick at 1, 2, 5 of each power of ten, all with a label if these have room.
func timeTicks(least, most float64) (ticks []plot.Tick) {
	for decade := 1.0; decade <= most; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			tick := plot.Tick{Value: step * decade}
			if step == 1 || most/least < 1000 {
				tick.Label = milliseconds(tick.Value)
			}
			if tick.Value >= least && tick.Value <= most {
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks
}

// milliseconds has two digits, and one unit for all, so that two times can be compared at a glance.
func milliseconds(ns float64) string {
	decimals := 1 - int(math.Floor(math.Log10(max(ns, 1)/1e6)))
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(ns/1e6, 'f', max(decimals, 0), 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64) + " ms"
}
