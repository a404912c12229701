//go:build e2e

package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"directormesh/cli/door/page/pagetest"
)

// axeVersion is the release of axe-core that looks at the pages.
const axeVersion = "4.14.1"

// missing ends a test for lack of a program. Where changes are checked it must be there.
func missing(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s: apt-get install %[1]s", program)
	}
	t.Skipf("no %s: apt-get install %[1]s", program)
}

// browse starts a browser. What it complains of fails the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				t.Errorf("the browser: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("the script: %v", e.ExceptionDetails)
		}
	})
	return ctx
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, name string) *pagetest.State {
	t.Helper()
	for _, s := range pagetest.States() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no state %s", name)
	return nil
}

// screen is a size of a window and a colour scheme.
type screen struct {
	name   string
	width  int64
	scheme string
}

var screens = []screen{
	{"phone", 360, "light"}, {"desk-dark", 1280, "dark"}, {"wall", 2560, "light"},
	{"desk", 1280, "light"}, {"phone-dark", 360, "dark"},
}

func (s screen) show(url string) chromedp.Tasks {
	return chromedp.Tasks{
		chromedp.EmulateViewport(s.width, 900),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: s.scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}),
		chromedp.Navigate(url),
		chromedp.WaitReady("main"),
	}
}

// TestEverybodyCanRead has axe-core look at every state on every screen, and no state may be wider
// than its screen.
func TestEverybodyCanRead(t *testing.T) {
	axe := axeSource(t)
	ctx, s := browse(t), newSite(t)
	pictures, looked := os.Getenv("DIRECTORMESH_SCREENSHOTS"), screens
	if pictures == "" {
		looked = screens[:3] // these show most
	}
	for _, st := range pagetest.States() {
		s.shows(st)
		for _, on := range looked {
			var found []string
			var wide bool
			run(t, ctx, on.show(s.url+"/?user=alice"),
				chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide))
			if wide {
				t.Errorf("%s on %s is wider than the screen", st.Name, on.name)
			}
			if pictures != "" {
				var png []byte
				run(t, ctx, chromedp.FullScreenshot(&png, 100))
				file := filepath.Join(pictures, st.Name+"-"+on.name+".png")
				if err := os.WriteFile(file, png, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			run(t, ctx, chromedp.Evaluate(axe, nil), chromedp.Evaluate(`axe.run().then((r) =>
				r.violations.map((v) => v.id + ": " + v.nodes[0].html + " " +
					v.nodes[0].failureSummary))`, &found,
				func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
					return p.WithAwaitPromise(true)
				}))
			for _, f := range found {
				t.Errorf("%s on %s: %s", st.Name, on.name, f)
			}
		}
	}
}

// axeSource gets axe-core.
func axeSource(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		missing(t, "npm")
	}
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-save", "--no-audit",
		"--no-fund", "--prefix", dir, "axe-core@"+axeVersion)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("getting axe-core: %v\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(dir, "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// TestWithoutScript has the page say the same to a browser that runs no scripts.
func TestWithoutScript(t *testing.T) {
	ctx, s := browse(t), newSite(t)
	s.shows(state(t, "failed"))
	var text string
	run(t, ctx, emulation.SetScriptExecutionDisabled(true), screens[3].show(s.url),
		chromedp.Text("main", &text, chromedp.ByQuery))
	for _, want := range []string{"has failed", "connection refused", "198.51.100.3", "d3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "Change…") {
		t.Error("the page offers what needs the script")
	}
}

// TestLive changes what the page shows while somebody types: the page follows, and what is typed
// stays.
func TestLive(t *testing.T) {
	ctx, s := browse(t), newSite(t)
	s.shows(state(t, "healthy"))
	run(t, ctx, screens[3].show(s.url),
		chromedp.SendKeys(`input[name=user]`, "ali", chromedp.ByQuery))
	s.shows(state(t, "failed"))
	select {
	case s.events <- "health":
	case <-time.After(10 * time.Second):
		t.Fatal("the page does not listen to events")
	}
	var typed, focus string
	run(t, ctx,
		chromedp.WaitVisible(`//li[contains(., "has failed")]`),
		chromedp.SendKeys(`input[name=user]`, "ce", chromedp.ByQuery),
		chromedp.Value(`input[name=user]`, &typed, chromedp.ByQuery),
		chromedp.Evaluate(`document.activeElement.name`, &focus))
	if typed != "alice" || focus != "user" {
		t.Errorf("typed %q, the focus is at %q", typed, focus)
	}
}

// TestKeyboard drains a backend by keyboard alone, and sees the plan first.
func TestKeyboard(t *testing.T) {
	ctx, s := browse(t), newSite(t)
	s.shows(state(t, "healthy"))
	var first string
	run(t, ctx, screens[3].show(s.url), chromedp.KeyEvent(kb.Tab),
		chromedp.Evaluate(`document.activeElement.textContent`, &first))
	if !strings.HasPrefix(first, "Skip") {
		t.Errorf("the first stop of the keyboard is %q", first)
	}
	press := func(text string) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			for range 60 {
				var at string
				err := chromedp.Run(ctx, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(
					`document.activeElement.tagName + " " +
						(document.activeElement.getAttribute("aria-label") ||
							document.activeElement.textContent)`, &at))
				if err != nil {
					return err
				}
				if at == "BUTTON "+text {
					return chromedp.KeyEvent(kb.Enter).Do(ctx)
				}
			}
			return fmt.Errorf("the keyboard does not get to %q", text)
		})
	}
	run(t, ctx, press("Change 198.51.100.1"),
		chromedp.WaitVisible(`//dialog//h2[contains(., "Change")]`), press("Drain…"),
		chromedp.WaitVisible(`//dialog//label`), press("Show the plan"),
		chromedp.WaitVisible(`//dialog//p[contains(., "3000 users would be moved")]`),
		press("Drain now"), chromedp.WaitVisible(`//dialog//p[contains(., "Done.")]`))
	want := []post{
		{"/v1/plan/backends/drain", map[string]any{"ip": "198.51.100.1"}},
		{"/v1/backends/drain?if_plan=feed", map[string]any{"ip": "198.51.100.1"}},
	}
	if diff := cmp.Diff(want, s.posts()); diff != "" {
		t.Errorf("posted, -want +got:\n%s", diff)
	}
	var open bool
	run(t, ctx, chromedp.KeyEvent(kb.Escape), chromedp.Evaluate(`dialog.open`, &open))
	if open {
		t.Error("Escape does not close the dialog")
	}
}

// TestLargeMesh renews the page of 200 backends, 50 directors and ten million users again and
// again, and reports for how long the browser could do nothing else.
func TestLargeMesh(t *testing.T) {
	ctx, s := browse(t), newSite(t)
	s.shows(state(t, "large"))
	var blocked []float64
	run(t, ctx, screens[3].show(s.url), chromedp.Evaluate(`(async () => {
		const long = [];
		new PerformanceObserver((l) => l.getEntries().forEach((e) => long.push(e.duration)))
			.observe({type: "longtask"});
		for (let i = 0; i < 10; i++) await renew();
		return long;
	})()`, &blocked, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	t.Logf("tasks of over 50 ms in ten renewals, in ms: %.0f", blocked)
	var rows int
	run(t, ctx, chromedp.Evaluate(`document.querySelectorAll(".backends tbody tr").length`, &rows))
	if rows != 200 {
		t.Errorf("%d rows of backends", rows)
	}
}
