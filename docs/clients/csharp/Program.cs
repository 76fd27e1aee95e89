// Quotes of Tencent over HTTP, with nothing but .NET (8 or newer): dotnet run [PORT]
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

var port = args.Length > 0 ? args[0] : "33333";
using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = Timeout.InfiniteTimeSpan };
if (Environment.GetEnvironmentVariable("OPENDMUX_KEY") is { Length: > 0 } key) // only where opendmux has a keys file
    http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);

async Task<JsonElement> Ask(int protoId, object c2s)
{
    var body = new StringContent(JsonSerializer.Serialize(new { c2s }), Encoding.UTF8, "application/json");
    var answer = await http.PostAsync($"/v1/request/{protoId}", body);
    var text = await answer.Content.ReadAsStringAsync();
    var root = JsonDocument.Parse(text).RootElement;
    if (!answer.IsSuccessStatusCode || root.GetProperty("retType").GetInt32() != 0)
        throw new InvalidOperationException(text);
    return root.GetProperty("s2c");
}

static double Price(JsonElement s2c) => s2c.GetProperty("basicQotList")[0].GetProperty("curPrice").GetDouble();

var securityList = new[] { new { market = 1, code = "00700" } }; // 1 is Hong Kong
await Ask(3001, new { securityList, subTypeList = new[] { 1 }, isSubOrUnSub = true, isRegOrUnRegPush = true });
Console.WriteLine($"quote HK.00700 {Price(await Ask(3004, new { securityList }))}");

// Server-sent events: each line that begins with "data:" is a push.
using var reader = new StreamReader(await http.GetStreamAsync("/v1/push"));
for (var pushes = 0; pushes < 3 && await reader.ReadLineAsync() is { } line;)
{
    if (!line.StartsWith("data:")) continue;
    var push = JsonDocument.Parse(line["data:".Length..]).RootElement;
    if (push.GetProperty("event_type").GetString() != "quote" || push.GetProperty("proto_id").GetInt32() != 3005) continue;
    Console.WriteLine($"push HK.00700 {Price(push.GetProperty("json").GetProperty("s2c"))}");
    pushes++;
}
