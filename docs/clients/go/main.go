// Quotes of Tencent over OpenD's own TCP protocol, with nothing but the standard library: go run main.go [PORT]
//
// Bodies are JSON here (format 1); protobuf (format 0) is what the SDKs send.
package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

const jsonFormat = 1

type security struct {
	Market int    `json:"market"`
	Code   string `json:"code"`
}

type response struct {
	RetType int    `json:"retType"`
	RetMsg  string `json:"retMsg"`
	S2C     struct {
		BasicQotList []struct {
			CurPrice float64 `json:"curPrice"`
		} `json:"basicQotList"`
	} `json:"s2c"`
}

type client struct {
	conn   net.Conn
	reader *bufio.Reader
	serial uint32
	pushes []response
}

func (c *client) send(protoID uint32, c2s any) {
	body, err := json.Marshal(map[string]any{"c2s": c2s})
	if err != nil {
		log.Fatal(err)
	}
	c.serial++
	sum := sha1.Sum(body)
	frame := append([]byte("FT"), make([]byte, 42)...)
	binary.LittleEndian.PutUint32(frame[2:], protoID)
	frame[6] = jsonFormat // frame[7], the version, is 0
	binary.LittleEndian.PutUint32(frame[8:], c.serial)
	binary.LittleEndian.PutUint32(frame[12:], uint32(len(body)))
	copy(frame[16:], sum[:]) // and eight reserved bytes
	if _, err := c.conn.Write(append(frame, body...)); err != nil {
		log.Fatal(err)
	}
}

func (c *client) receive() (protoID, serial uint32, answer response) {
	head := make([]byte, 44)
	if _, err := io.ReadFull(c.reader, head); err != nil {
		log.Fatal(err)
	}
	body := make([]byte, binary.LittleEndian.Uint32(head[12:]))
	if _, err := io.ReadFull(c.reader, body); err != nil {
		log.Fatal(err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		log.Fatal(err)
	}
	return binary.LittleEndian.Uint32(head[2:]), binary.LittleEndian.Uint32(head[8:]), answer
}

// ask sends a request and waits for its answer; pushes that come before it are kept.
func (c *client) ask(protoID uint32, c2s any) response {
	c.send(protoID, c2s)
	for {
		id, serial, answer := c.receive()
		switch {
		case id == protoID && serial == c.serial:
			if answer.RetType != 0 {
				log.Fatal(answer.RetMsg)
			}
			return answer
		case id == 3005:
			c.pushes = append(c.pushes, answer)
		}
	}
}

func (c *client) push() response {
	for len(c.pushes) == 0 {
		if id, _, answer := c.receive(); id == 3005 {
			c.pushes = append(c.pushes, answer)
		}
	}
	first := c.pushes[0]
	c.pushes = c.pushes[1:]
	return first
}

func main() {
	port, name := "33333", "go-example"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	if key := os.Getenv("OPENDMUX_KEY"); key != "" { // only where opendmux has a keys file
		name = key
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	c := &client{conn: conn, reader: bufio.NewReader(conn)}
	tencent := []security{{Market: 1, Code: "00700"}}

	c.ask(1001, map[string]any{"clientVer": 300, "clientID": name, "recvNotify": true, "packetEncAlgo": -1,
		"pushProtoFmt": jsonFormat, "programmingLanguage": "Go"})
	c.ask(3001, map[string]any{"securityList": tencent, "subTypeList": []int{1}, "isSubOrUnSub": true,
		"isRegOrUnRegPush": true})
	quote := c.ask(3004, map[string]any{"securityList": tencent})
	fmt.Println("quote HK.00700", quote.S2C.BasicQotList[0].CurPrice)
	for range 3 {
		fmt.Println("push HK.00700", c.push().S2C.BasicQotList[0].CurPrice)
	}
}
