// Command goread reads certificate requests as the API server and the signer do, with Go's own decoders.
//
// Standard input holds one request a line: the PEM in base64, as in spec.request. Standard output holds one JSON
// object a line, in the same order. What Go refuses has ok false and its error; nothing else is judged here.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// lineLimit is the longest line in bytes: far above the 16 KiB of PEM that nodegate looks at.
const lineLimit = 4 << 20

// reading is what Go makes of one request.
type reading struct {
	OK           bool     `json:"ok"`
	Error        string   `json:"error,omitempty"`
	Subject      string   `json:"subject"`
	CommonName   string   `json:"cn"`
	Organization []string `json:"organization"`
	DNS          []string `json:"dns"`
	IPs          []string `json:"ips"`
	Emails       []string `json:"emails"`
	URIs         []string `json:"uris"`
	SPKISHA256   string   `json:"spkiSHA256"`
	SignatureOK  bool     `json:"signatureOK"`
}

// parse repeats ParseCSR of k8s.io/kubernetes/pkg/apis/certificates: the first PEM block has to be the request.
func parse(line string) (*x509.CertificateRequest, error) {
	content, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("the first PEM block is no CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

func read(line string) reading {
	request, err := parse(line)
	if err != nil {
		return reading{Error: err.Error()}
	}
	digest := sha256.Sum256(request.RawSubjectPublicKeyInfo)
	result := reading{
		OK:           true,
		Subject:      hex.EncodeToString(request.RawSubject),
		CommonName:   request.Subject.CommonName,
		Organization: request.Subject.Organization,
		DNS:          request.DNSNames,
		Emails:       request.EmailAddresses,
		SPKISHA256:   hex.EncodeToString(digest[:]),
		SignatureOK:  request.CheckSignature() == nil,
	}
	for _, address := range request.IPAddresses {
		result.IPs = append(result.IPs, address.String())
	}
	for _, uri := range request.URIs {
		result.URIs = append(result.URIs, uri.String())
	}
	return result
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineLimit)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := output.Encode(read(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
