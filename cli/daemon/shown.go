package daemon

import (
	"net/url"
	"strings"

	"directormesh/cli/api"
)

// hidden stands for a part of a value that may be secret.
const hidden = "…"

// Settings implements httpapi.Director: as they are, without what may be secret. Secrets that are
// in files of their own do not get into values at all.
func (d *director) Settings() api.Settings {
	out := api.Settings{Settings: []api.SettingValue{}}
	for _, s := range Settings() {
		value := d.value(s.Name)
		if s.shown != nil {
			value = s.shown(value)
		}
		out.Settings = append(out.Settings, api.SettingValue{
			Name: s.Name, Value: api.Visible(value), Set: d.value(s.Name) != s.Default,
		})
	}
	return out
}

// value returns a setting as it was given.
func (d *director) value(name string) string {
	if values := d.values.Load(); values != nil {
		return (*values)[name]
	}
	return d.options.values[name]
}

// programOnly shows a command without its arguments.
func programOnly(command string) string {
	words := strings.Fields(command)
	if len(words) < 2 {
		return command
	}
	return words[0] + " " + hidden
}

// hostOnly shows a URL without user, path and query.
func hostOnly(text string) string {
	u, err := url.Parse(text)
	if text == "" {
		return ""
	}
	if err != nil || u.Host == "" {
		return hidden
	}
	return u.Scheme + "://" + u.Host + "/" + hidden
}
