package mesh

import (
	"crypto/sha256"
	"encoding/hex"
	"log"
	"time"

	"github.com/hashicorp/memberlist"

	"directormesh/mesh/replica"
)

// labelPrefix begins memberlist's label, so that there is one from the first day on: memberlist
// cannot introduce one to a live mesh.
const labelPrefix = "director/"

// maxLabel keeps the label, which every packet carries, short. What is longer ends with labelHash
// bytes of its hash.
const (
	maxLabel  = 64
	labelHash = 16
)

// memberlistLabel distinguishes this mesh's packets from others'. It is authenticated where there
// is a key.
func memberlistLabel(mesh string) string {
	label := labelPrefix + mesh
	if len(label) <= maxLabel {
		return label
	}
	sum := sha256.Sum256([]byte(mesh))
	hash := hex.EncodeToString(sum[:labelHash])
	return label[:maxLabel-len(hash)] + hash
}

// memberlistConfig sets memberlist up for small and fast messages: bulk goes by our streams.
func (n *Node) memberlistConfig() (*memberlist.Config, error) {
	cfg := memberlist.DefaultLANConfig()
	cfg.Name = n.cfg.Name
	cfg.Transport = n.transport
	cfg.BindAddr, cfg.BindPort = n.advertise.Addr().String(), int(n.advertise.Port())
	cfg.AdvertiseAddr, cfg.AdvertisePort = n.advertise.Addr().String(), int(n.advertise.Port())
	cfg.Label = memberlistLabel(n.cfg.Mesh)
	cfg.DelegateProtocolVersion = replica.ProtocolVersion
	cfg.DelegateProtocolMin = replica.ProtocolVersion
	cfg.DelegateProtocolMax = replica.ProtocolVersion

	cfg.EnableCompression = false // costs more than it saves on packed rows
	cfg.UDPBufferSize = packetLimit
	cfg.GossipInterval = 50 * time.Millisecond
	cfg.GossipNodes = 3
	cfg.RetransmitMult = retransmitMult
	cfg.ProbeInterval = time.Second
	cfg.ProbeTimeout = 500 * time.Millisecond
	cfg.SuspicionMult = 4
	cfg.PushPullInterval = 15 * time.Second
	cfg.TCPTimeout = stateTime
	cfg.HandoffQueueDepth = 4096
	cfg.GossipToTheDeadTime = time.Minute
	// a director that died may come back at another address
	cfg.DeadNodeReclaimTime = 15 * time.Second

	if n.keys.list != nil {
		cfg.Keyring = n.keys.list
		cfg.GossipVerifyIncoming, cfg.GossipVerifyOutgoing = true, true
	}
	d := delegate{n}
	cfg.Delegate, cfg.Events, cfg.Conflict, cfg.Alive = d, d, d, d
	cfg.DisableTcpPingsForNode = d.probeFailed
	cfg.Logger = log.New(logBridge{n}, "", 0)
	n.gossip.init(gossipLimit(cfg.Label, len(n.cfg.Keys) > 0), n.members.count)
	return cfg, nil
}
