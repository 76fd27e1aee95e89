// Quotes of Tencent with the official Java SDK: mvn compile exec:java -Dexec.mainClass=Quotes -Dexec.args=PORT
import com.futu.openapi.FTAPI;
import com.futu.openapi.FTAPI_Conn;
import com.futu.openapi.FTAPI_Conn_Qot;
import com.futu.openapi.FTSPI_Conn;
import com.futu.openapi.FTSPI_Qot;
import com.futu.openapi.pb.QotCommon;
import com.futu.openapi.pb.QotGetBasicQot;
import com.futu.openapi.pb.QotSub;
import com.futu.openapi.pb.QotUpdateBasicQot;

public class Quotes implements FTSPI_Conn, FTSPI_Qot {
    private static final QotCommon.Security TENCENT =
            QotCommon.Security.newBuilder().setMarket(QotCommon.QotMarket.QotMarket_HK_Security_VALUE).setCode("00700").build();

    private final FTAPI_Conn_Qot qot = new FTAPI_Conn_Qot();
    private int pushes = 0;
    private boolean asked = false;

    void start(int port) {
        String key = System.getenv("OPENDMUX_KEY"); // only where opendmux has a keys file
        qot.setClientInfo(key == null ? "java-example" : key, 1);
        qot.setConnSpi(this);
        qot.setQotSpi(this);
        qot.initConnect("127.0.0.1", port, false);
    }

    private static void fail(String why) {
        System.err.println(why);
        System.exit(1);
    }

    @Override
    public void onInitConnect(FTAPI_Conn client, long errCode, String desc) {
        if (errCode != 0) {
            fail(desc);
        }
        QotSub.C2S c2s = QotSub.C2S.newBuilder()
                .addSecurityList(TENCENT)
                .addSubTypeList(QotCommon.SubType.SubType_Basic_VALUE)
                .setIsSubOrUnSub(true)
                .setIsRegOrUnRegPush(true)
                .build();
        qot.sub(QotSub.Request.newBuilder().setC2S(c2s).build());
    }

    @Override
    public void onReply_Sub(FTAPI_Conn client, int serial, QotSub.Response answer) {
        if (answer.getRetType() != 0) {
            fail(answer.getRetMsg());
        }
        QotGetBasicQot.C2S c2s = QotGetBasicQot.C2S.newBuilder().addSecurityList(TENCENT).build();
        qot.getBasicQot(QotGetBasicQot.Request.newBuilder().setC2S(c2s).build());
    }

    @Override
    public void onReply_GetBasicQot(FTAPI_Conn client, int serial, QotGetBasicQot.Response answer) {
        System.out.println("quote HK.00700 " + answer.getS2C().getBasicQotList(0).getCurPrice());
        asked = true;
    }

    @Override
    public void onPush_UpdateBasicQuote(FTAPI_Conn client, QotUpdateBasicQot.Response push) {
        if (asked && pushes < 3) {
            System.out.println("push HK.00700 " + push.getS2C().getBasicQotList(0).getCurPrice());
            if (++pushes == 3) {
                System.exit(0);
            }
        }
    }

    @Override
    public void onDisconnect(FTAPI_Conn client, long errCode) {
        fail("disconnected, " + errCode);
    }

    public static void main(String[] args) throws InterruptedException {
        FTAPI.init();
        new Quotes().start(args.length > 0 ? Integer.parseInt(args[0]) : 33333);
        Thread.sleep(60_000);
        fail("nothing came for a minute");
    }
}
