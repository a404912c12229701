package daemon

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const containers = "../../scripts/packaging/container"

// TestManifests compares what the files for containers say with the settings and pages that there
// are: variables, ports and probes.
func TestManifests(t *testing.T) {
	known := make(map[string]bool)
	for _, s := range Settings() {
		known[s.EnvVar()] = true
	}
	variable := regexp.MustCompile(`\bDIRECTOR_[A-Z_]+\b`)
	for _, name := range []string{"Containerfile", "compose.yaml", "kubernetes.yaml"} {
		raw, err := os.ReadFile(filepath.Join(containers, name))
		if err != nil {
			t.Fatal(err)
		}
		found := variable.FindAllString(string(raw), -1)
		if len(found) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for _, v := range found {
			if !known[v] {
				t.Errorf("%s: there is no setting %s", name, v)
			}
		}
		if strings.HasSuffix(name, ".yaml") {
			documents(t, name, raw)
		}
	}
}

// documents are the parts of a YAML file.
func documents(t *testing.T, name string, raw []byte) (all []map[string]any) {
	t.Helper()
	for d := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var document map[string]any
		switch err := d.Decode(&document); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, document)
	}
}

// TestCompose wants each director of the file for compose to have its own name, sockets and disk,
// to join all, and to read the key where the secret is.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Hostname    string
			Environment map[string]string
			Volumes     []string
			Secrets     []string
		}
		Volumes map[string]any
	}
	raw, err := os.ReadFile(filepath.Join(containers, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	all := slices.Sorted(maps.Keys(file.Services))
	mounted := make(map[string]bool)
	for name, s := range file.Services {
		env := s.Environment
		if s.Hostname != name || env["DIRECTOR_NODE_NAME"] != name {
			t.Errorf("%s has host name %q and the name %q", name, s.Hostname,
				env["DIRECTOR_NODE_NAME"])
		}
		if got := env["DIRECTOR_JOIN"]; got != strings.Join(all, ",") {
			t.Errorf("%s joins %q", name, got)
		}
		secret := strings.TrimPrefix(env["DIRECTOR_ENCRYPT_KEY_FILE"], "/run/secrets/")
		if !slices.Equal(s.Secrets, []string{secret}) {
			t.Errorf("%s reads the key %q of %q", name, secret, s.Secrets)
		}
		var places []string
		for _, v := range s.Volumes {
			volume, place, _ := strings.Cut(v, ":")
			if _, known := file.Volumes[volume]; !known || mounted[volume] {
				t.Errorf("%s: volume %s is another one's, or there is none", name, volume)
			}
			mounted[volume], places = true, append(places, place)
		}
		if !slices.Equal(places, []string{"/run/director", "/var/lib/director"}) {
			t.Errorf("%s has volumes at %q", name, places)
		}
	}
}

// TestKubernetes looks at what the claims of the manifest rest on: the probes ask for pages that
// every director has, at the port of the metrics; the service tells of pods that are not ready yet,
// for they join by it; and the ports are those of the image. TestPods in scripts/e2e plays the
// pods' life.
func TestKubernetes(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(containers, "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]map[string]any)
	for _, d := range documents(t, "kubernetes.yaml", raw) {
		kinds[d["kind"].(string)] = d
	}
	at := func(v any, path ...any) any {
		t.Helper()
		for _, step := range path {
			switch step := step.(type) {
			case string:
				v = v.(map[string]any)[step]
			case int:
				v = v.([]any)[step]
			}
		}
		return v
	}
	service, set := kinds["Service"], kinds["StatefulSet"]
	container := at(set, "spec", "template", "spec", "containers", 0)
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"the service's address", at(service, "spec", "clusterIP"), "None"},
		{"tells of pods before they are ready",
			at(service, "spec", "publishNotReadyAddresses"), true},
		{"the set's service", at(set, "spec", "serviceName"), at(service, "metadata", "name")},
		{"readiness", at(container, "readinessProbe", "httpGet", "path"), "/readyz"},
		{"its port", at(container, "readinessProbe", "httpGet", "port"), "metrics"},
		{"life", at(container, "livenessProbe", "httpGet", "path"), "/healthz"},
		{"pods that may be away", at(kinds["PodDisruptionBudget"], "spec", "maxUnavailable"), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	file, err := os.ReadFile(filepath.Join(containers, "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	exposed := regexp.MustCompile(`(?m)^EXPOSE (.*)$`).FindStringSubmatch(string(file))[1]
	var ports []string
	for _, p := range at(container, "ports").([]any) {
		protocol, _ := at(p, "protocol").(string)
		if protocol == "" {
			protocol = "TCP"
		}
		ports = append(ports, strings.Join([]string{
			yamlText(t, at(p, "containerPort")), strings.ToLower(protocol),
		}, "/"))
	}
	if want := strings.Fields(exposed); !slices.Equal(ports, want) {
		t.Errorf("ports %v, the image has %v", ports, want)
	}
}

func yamlText(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// TestPackagedDirectories wants each directory of its own that the rpm fills to be the rpm's, or it
// stays behind when the package is removed.
func TestPackagedDirectories(t *testing.T) {
	raw, err := os.ReadFile("../../scripts/packaging/nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var packages struct {
		Contents []struct{ Dst, Type, Packager string }
	}
	if err := yaml.Unmarshal(raw, &packages); err != nil {
		t.Fatal(err)
	}
	filled, owned := make(map[string]bool), make(map[string]bool)
	for _, c := range packages.Contents {
		dir := path.Dir(c.Dst + "x") // of a file, or of those in a folder
		switch {
		case c.Packager == "deb":
		case c.Type == "dir":
			owned[c.Dst] = true
		case strings.Contains(dir+"/", "/director/") && strings.HasPrefix(dir, "/usr/"):
			filled[dir] = true
		}
	}
	if diff := cmp.Diff(filled, owned); diff != "" || len(filled) == 0 {
		t.Errorf("directories (-with files +of the package):\n%s", diff)
	}
}
