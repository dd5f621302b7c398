package slbtest

import "testing"

func TestSignaturesAreThoseOfTheDocumentation(t *testing.T) {
	tests := []struct {
		name, method, secret, text, signature string
		params                                map[string]string
	}{
		{
			// The example of Aliyun's "RPC mechanism" page; openssl gives the same.
			name: "the example of the documentation", method: "GET", secret: "testsecret",
			params: map[string]string{
				"AccessKeyId": "testid", "Action": "DescribeRegions", "Format": "XML", "SignatureMethod": "HMAC-SHA1",
				"SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf", "SignatureVersion": "1.0",
				"Timestamp": "2016-02-23T12:46:24Z", "Version": "2014-05-26", "Signature": "is not signed",
			},
			text: "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML%26SignatureMethod%3DHMAC-SHA1" +
				"%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf%26SignatureVersion%3D1.0" +
				"%26Timestamp%3D2016-02-23T12%253A46%253A24Z%26Version%3D2014-05-26",
			signature: "OLeaidS1JvxuMvnyHOwuJ+uX5qY=",
		},
		{
			// Written by hand, signed with openssl dgst -sha1 -hmac 'secret&'.
			name: "signs that URLs change, and an empty value", method: "POST", secret: "secret",
			params:    map[string]string{"Action": "X", "RR": "@", "SignatureType": "", "Value": "a b*~+&=/%中"},
			text:      "POST&%2F&Action%3DX%26RR%3D%2540%26SignatureType%3D%26Value%3Da%2520b%252A~%252B%2526%253D%252F%2525%25E4%25B8%25AD",
			signature: "Dk+aCW9UpozprQqrCVdMR8jfPz0=",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := stringToSign(tt.method, tt.params)
			if text != tt.text {
				t.Errorf("string to sign:\n got %s\nwant %s", text, tt.text)
			}
			if got := signature(tt.secret, text); got != tt.signature {
				t.Errorf("signature %s, want %s", got, tt.signature)
			}
			if signature(tt.secret+"x", text) == tt.signature {
				t.Error("another secret signs the same")
			}
		})
	}
}
