package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
)

// reloads are the metrics of reading the settings again, under the names that Prometheus' own
// programs use.
type reloads struct {
	successful  prometheus.Gauge
	succeededAt prometheus.Gauge
	needRestart prometheus.Gauge
}

// newReloads counts the start as a successful one.
func newReloads(registry prometheus.Registerer) (*reloads, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	r := &reloads{
		successful: gauge("director_config_last_reload_successful",
			"1 if the settings were good when they were last read, else 0."),
		succeededAt: gauge("director_config_last_reload_success_timestamp_seconds",
			"When good settings were last read, in Unix time."),
		needRestart: gauge("director_config_settings_need_restart",
			"Settings that have changed and that only a restart applies."),
	}
	for _, c := range []prometheus.Collector{r.successful, r.succeededAt, r.needRestart} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	r.succeeded(0)
	return r, nil
}

func (r *reloads) succeeded(needRestart int) {
	r.successful.Set(1)
	r.succeededAt.Set(float64(time.Now().Unix()))
	r.needRestart.Set(float64(needRestart))
}

// reload reads the settings again and applies what can be applied, or nothing at all. What only a
// restart applies is named, by each reload until then. An error has a line for each problem.
func (d *Daemon) reload() (reloaded, needRestart []string, err error) {
	if d.reread == nil {
		return nil, nil, errNoReload
	}
	fresh, err := d.reread()
	if err != nil {
		problems := []string{err.Error()}
		var bad *ConfigError
		if errors.As(err, &bad) {
			problems = strings.Split(bad.Error(), "\n")
		}
		d.reloads.successful.Set(0)
		d.log.Error().Strs("problems", problems).Msg("settings not reloaded, nothing has changed")
		return nil, nil, err
	}
	reloaded, needRestart = []string{}, []string{}
	d.options.values = maps.Clone(d.options.values) // others read those of before
	for _, s := range Settings() {
		switch {
		case fresh.values[s.Name] == d.options.values[s.Name] &&
			(s.differ == nil || !s.differ(d.options, fresh)):
		case s.apply != nil && s.apply(d, fresh):
			reloaded = append(reloaded, s.Name)
			d.options.values[s.Name] = fresh.values[s.Name]
		default:
			needRestart = append(needRestart, s.Name)
		}
	}
	values := d.options.values
	d.director.values.Store(&values)
	if d.gate != nil {
		d.gate.Look()
	}
	d.reloads.succeeded(len(needRestart))
	d.log.Info().Strs("reloaded", reloaded).Strs("need_restart", needRestart).
		Msg("settings reloaded")
	return reloaded, needRestart, nil
}

// errNoReload is the error of a director that was not started from settings.
var errNoReload = errors.New("this director has no settings to read again")

// reloadRequest asks the goroutine that owns the settings for a reload.
type reloadRequest struct{ answer chan<- reloadAnswer }

type reloadAnswer struct {
	outcome api.Outcome
	err     error
}

// askReload has the settings read again and waits for it.
func (d *director) askReload(ctx context.Context) (api.Outcome, error) {
	answer := make(chan reloadAnswer, 1)
	select {
	case d.reloads <- reloadRequest{answer}:
	case <-ctx.Done():
		return api.Outcome{}, apiError(context.Cause(ctx))
	}
	select {
	case a := <-answer:
		return a.outcome, a.err
	case <-ctx.Done():
		return api.Outcome{}, apiError(context.Cause(ctx))
	}
}

// answerReload reloads for a client.
func (d *Daemon) answerReload(r reloadRequest) {
	reloaded, needRestart, err := d.reload()
	a := reloadAnswer{outcome: api.Outcome{
		Reloaded: reloaded, NeedRestart: needRestart,
	}.Complete()}
	if err != nil {
		a.err = api.Errorf(api.CodeBadRequest, "settings not reloaded, nothing has changed: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	r.answer <- a
}

// applyLimits gives the mesh what it may change while it runs.
func (d *Daemon) applyLimits(fresh Options) bool {
	d.node.SetLimits(replica.Limits{
		KickDelay: fresh.UserKickDelay, MaxParallelMoves: fresh.MaxParallelMoves,
		SlowStart: fresh.SlowStart,
	})
	return true
}

// applyKeys gives the mesh the keys that the key file has now. The first one, and the last one,
// take a restart.
func (d *Daemon) applyKeys(fresh Options) bool {
	if err := d.node.SetKeys(fresh.Keys); err != nil {
		return false
	}
	d.options.Keys = fresh.Keys
	return true
}
