//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"directormesh/scripts/e2e/netns"
)

// containers is the directory of what is shipped for containers.
const containers = "../packaging/container"

// cluster does with the pods of kubernetes.yaml what Kubernetes does, as far as a director sees it:
// each life of a pod has a network namespace and an address of its own, the name and the volume are
// the same, names are resolved as in a pod, and the probes are asked from another host. What it
// takes from the manifest and the image it reads there.
type cluster struct {
	*mesh
	net     *netns.Network
	kubelet *netns.Host // asks the probes
	names   *podNames
	image   string // the program, as the image has it
	env     []string
	fields  map[string]string // variables that have the value of a field of the pod
	service string
	// early says that the service has pods that are not ready yet too.
	early bool
	given int // addresses so far
	pods  []*pod
}

// pod is one of a cluster. Its run directory is the volume "run".
type pod struct {
	*process
	c     *cluster
	root  string      // of its file system
	data  string      // its volume
	host  *netns.Host // of this life, or the last one
	ready bool        // the probe has said so in this life
}

// The user of the image, and the port of the probes.
const (
	podUser  = 65532
	podPort  = 9091
	podLimit = 30 * time.Second // until a pod must be ready
)

func podAddr(number int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, 1, byte(number)}), 24)
}

// newCluster has as many pods as the manifest says, none of which runs.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{mesh: newMesh(t, 0), net: netns.New(t), fields: make(map[string]string)}
	c.image = filepath.Join(c.dir, "director")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", c.image,
		"directormesh/cli/director")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the director: %v\n%s", err, out)
	}
	replicas := c.readsManifest()
	dns := podAddr(10)
	c.names = &podNames{
		service: c.service + ".default.svc.cluster.local.", pods: make(map[string]netip.Addr),
	}
	c.names.serve(t, c.net.Host("dns", dns), dns.Addr())
	c.kubelet = c.net.Host("kubelet", podAddr(1))
	for i := range replicas {
		c.pods = append(c.pods, c.newPod(fmt.Sprintf("%s-%d", c.service, i), dns.Addr()))
	}
	return c
}

// readsManifest takes the environment of the image and of the manifest, and returns the number of
// pods.
func (c *cluster) readsManifest() (replicas int) {
	c.t.Helper()
	file, err := os.ReadFile(filepath.Join(containers, "Containerfile"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.env = regexp.MustCompile(`\bDIRECTOR_[A-Z_]+=\S+`).FindAllString(string(file), -1)
	manifest, err := os.Open(filepath.Join(containers, "kubernetes.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer manifest.Close()
	for d := yaml.NewDecoder(manifest); ; {
		var part struct {
			Kind string
			Spec struct {
				Replicas    int
				ServiceName string `yaml:"serviceName"`
				Early       bool   `yaml:"publishNotReadyAddresses"`
				Template    struct {
					Spec struct{ Containers []container }
				}
			}
		}
		if err := d.Decode(&part); err != nil {
			c.t.Fatalf("no StatefulSet: %v", err)
		}
		if part.Kind == "Service" {
			c.early = part.Spec.Early
		}
		if part.Kind != "StatefulSet" {
			continue
		}
		c.service = part.Spec.ServiceName
		for _, v := range part.Spec.Template.Spec.Containers[0].Env {
			if field := v.ValueFrom.FieldRef.FieldPath; field != "" {
				c.fields[v.Name] = field
			} else {
				c.env = append(c.env, v.Name+"="+v.Value)
			}
		}
		return part.Spec.Replicas
	}
}

// container is what is read of a container of the manifest.
type container struct {
	Env []struct {
		Name, Value string
		ValueFrom   struct {
			FieldRef struct {
				FieldPath string `yaml:"fieldPath"`
			} `yaml:"fieldRef"`
		} `yaml:"valueFrom"`
	}
}

// newPod makes the files of a pod and its volumes.
func (c *cluster) newPod(name string, dns netip.Addr) *pod {
	c.t.Helper()
	p := &pod{
		process: newProcessAt(c.t, c.dir, name, netip.AddrPort{}), c: c,
		root: filepath.Join(c.dir, name+".root"), data: filepath.Join(c.dir, name+".data"),
	}
	for _, dir := range []string{"proc", "run/director", "var/lib/director", "etc/director"} {
		if err := os.MkdirAll(filepath.Join(p.root, dir), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := os.Link(c.image, filepath.Join(p.root, "director")); err != nil {
		c.t.Fatal(err)
	}
	keys := filepath.Join(p.root, "etc/director/keys")
	for path, content := range map[string]string{
		keys: testKey + "\n",
		filepath.Join(p.root, "etc/resolv.conf"): fmt.Sprintf("search default.svc.cluster.local "+
			"svc.cluster.local cluster.local\nnameserver %s\noptions ndots:5\n", dns),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	p.losesVolume()
	for path, mode := range map[string]os.FileMode{p.runDir: os.ModeSetgid | 0o775, keys: 0o440} {
		if err := os.Chown(path, 0, podUser); err != nil {
			c.t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			c.t.Fatal(err)
		}
	}
	return p
}

// losesVolume gives the pod an empty volume, as fsGroup makes it.
func (p *pod) losesVolume() {
	p.t.Helper()
	if err := os.RemoveAll(p.data); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Mkdir(p.data, 0o775); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chown(p.data, 0, podUser); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(p.data, os.ModeSetgid|0o775); err != nil { // whatever the umask is
		p.t.Fatal(err)
	}
}

// podScript runs the image's program with root directory $1, which is read-only but for the volumes
// run, $2, and data, $3, as user $4.
const podScript = `
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/run/director"
mount --bind "$3" "$1/var/lib/director"
mount -o remount,bind,ro "$1"
exec chroot --userspec="$4:$4" "$1" /director serve
`

// start begins a life of the pod, at an address that no pod had before.
func (p *pod) start() {
	p.t.Helper()
	p.c.given++
	ip := podAddr(100 + p.c.given)
	host := p.c.net.Host(fmt.Sprintf("pod%d", p.c.given), ip)
	p.addr = netip.AddrPortFrom(ip.Addr(), meshPort)
	if p.c.early {
		p.c.names.set(p.name, ip.Addr())
	}
	user := fmt.Sprint(podUser)
	p.host, p.ready = host, false
	argv := append(host.Prefix(), "sh", "-c", podScript, "sh", p.root, p.runDir, p.data, user)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, p.c.env...)
	for name, field := range p.c.fields {
		value, known := map[string]string{
			"metadata.name": p.name, "status.podIP": ip.Addr().String(),
		}[field]
		if !known {
			p.t.Fatalf("%s has the value of %s, which this test does not know", name, field)
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	p.run(cmd)
}

// dies ends a life of the pod at once; nobody has its address any more.
func (p *pod) dies() {
	p.t.Helper()
	p.kill()
	p.host.Run("ip", "link", "set", "eth0", "down")
}

// isDeleted ends a life of the pod as Kubernetes does, and takes its address out of the service.
func (p *pod) isDeleted() {
	p.t.Helper()
	p.leave()
	p.host.Run("ip", "link", "set", "eth0", "down")
	p.c.names.unset(p.name)
}

// probe asks for a page as the kubelet does. Status 0: there is no answer.
func (p *pod) probe(path string) (status int, text string) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = p.c.kubelet.Do(func() (err error) {
				conn, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		},
	}}
	answer, err := client.Get(fmt.Sprintf("http://%s:%d%s", p.addr.Addr(), podPort, path))
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, strings.TrimSpace(string(body))
}
