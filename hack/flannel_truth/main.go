// Command flannel_truth reads network configs as flannel does, with flannel's own parser and checks.
//
// Standard input is a JSON array; each item is the text of one config in base64, so that it may hold any bytes.
// Standard output holds one JSON object a line, in the same order: whether ParseConfig and CheckNetworkConfig let
// it pass, their error, and the values that they fill in. Backends are not looked at; flannel decodes those later.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"github.com/flannel-io/flannel/pkg/subnet"
)

// family is what flannel fills in for one address family that is enabled.
type family struct {
	Network   string `json:"network"`
	SubnetLen uint   `json:"subnetLen"`
	SubnetMin string `json:"subnetMin"`
	SubnetMax string `json:"subnetMax"`
}

// verdict is what flannel makes of one config.
type verdict struct {
	OK             bool    `json:"ok"`
	Error          string  `json:"error,omitempty"`
	IPv4           *family `json:"ipv4,omitempty"`
	IPv6           *family `json:"ipv6,omitempty"`
	EnableNFTables bool    `json:"enableNFTables"`
	BackendType    string  `json:"backendType"`
}

// judge runs both of flannel's steps; a panic is an answer too, for it would end the daemon.
func judge(text string) (found verdict) {
	defer func() {
		if reason := recover(); reason != nil {
			found = verdict{Error: fmt.Sprintf("panic: %v", reason)}
		}
	}()
	config, err := subnet.ParseConfig(text)
	if err == nil {
		err = subnet.CheckNetworkConfig(config)
	}
	if err != nil {
		return verdict{Error: err.Error()}
	}
	found = verdict{OK: true, EnableNFTables: config.EnableNFTables, BackendType: config.BackendType}
	if config.EnableIPv4 {
		found.IPv4 = &family{
			config.Network.String(), config.SubnetLen, config.SubnetMin.String(), config.SubnetMax.String(),
		}
	}
	if config.EnableIPv6 {
		found.IPv6 = &family{
			config.IPv6Network.String(), config.IPv6SubnetLen, config.IPv6SubnetMin.String(), config.IPv6SubnetMax.String(),
		}
	}
	return found
}

func run() error {
	var encoded []string
	if err := json.NewDecoder(os.Stdin).Decode(&encoded); err != nil {
		return fmt.Errorf("expected a JSON array of texts in base64: %w", err)
	}
	output := json.NewEncoder(os.Stdout)
	for number, item := range encoded {
		text, err := base64.StdEncoding.DecodeString(item)
		if err != nil {
			return fmt.Errorf("item %d: %w", number, err)
		}
		if err := output.Encode(judge(string(text))); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
