// Quotes of Tencent over HTTP, with nothing but the JDK (17 or newer): java Quotes.java [PORT]
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Quotes {
    // Stands for the JSON library of your choice.
    private static final Pattern PRICE = Pattern.compile("\"curPrice\":\\s*([0-9.]+)");

    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final String base;

    Quotes(String port) {
        base = "http://127.0.0.1:" + port;
    }

    private HttpRequest.Builder to(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path));
        String key = System.getenv("OPENDMUX_KEY"); // only where opendmux has a keys file
        return key == null ? request : request.header("authorization", "Bearer " + key);
    }

    String ask(int protoId, String c2s) throws IOException, InterruptedException {
        HttpRequest request = to("/v1/request/" + protoId)
                .header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"c2s\":" + c2s + "}"))
                .build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200 || !answer.body().contains("\"retType\":0")) {
            throw new IOException(answer.body());
        }
        return answer.body();
    }

    static String price(String json) {
        Matcher found = PRICE.matcher(json);
        return found.find() ? found.group(1) : "?";
    }

    public static void main(String[] args) throws Exception {
        Quotes quotes = new Quotes(args.length > 0 ? args[0] : "33333");
        String tencent = "\"securityList\":[{\"market\":1,\"code\":\"00700\"}]";
        quotes.ask(3001, "{" + tencent + ",\"subTypeList\":[1],\"isSubOrUnSub\":true,\"isRegOrUnRegPush\":true}");
        System.out.println("quote HK.00700 " + price(quotes.ask(3004, "{" + tencent + "}")));
        // Server-sent events: each line that begins with "data:" is a push.
        quotes.http.send(quotes.to("/v1/push").build(), HttpResponse.BodyHandlers.ofLines())
                .body()
                .filter(line -> line.startsWith("data:") && line.contains("\"proto_id\":3005"))
                .limit(3)
                .forEach(line -> System.out.println("push HK.00700 " + price(line)));
        System.exit(0); // the stream of pushes is still open
    }
}
