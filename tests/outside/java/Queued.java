import com.microsoft.azure.kusto.data.Client;
import com.microsoft.azure.kusto.data.ClientFactory;
import com.microsoft.azure.kusto.data.KustoResultSetTable;
import com.microsoft.azure.kusto.data.auth.ConnectionStringBuilder;
import com.microsoft.azure.kusto.data.exceptions.DataServiceException;
import com.microsoft.azure.kusto.ingest.IngestClient;
import com.microsoft.azure.kusto.ingest.IngestClientFactory;
import com.microsoft.azure.kusto.ingest.IngestionMapping;
import com.microsoft.azure.kusto.ingest.IngestionProperties;
import com.microsoft.azure.kusto.ingest.result.IngestionResult;
import com.microsoft.azure.kusto.ingest.result.OperationStatus;
import com.microsoft.azure.kusto.ingest.source.FileSourceInfo;
import java.util.ArrayList;
import java.util.List;

/**
 * Queued ingestion with status by table, queries, and an error, with the official Java client. One line per finding.
 *
 * Queued.java [cluster url] [rows.csv] [rows.json]
 */
public class Queued {
    private static final String SCHEMA = "(id: long, name: string, at: datetime, x: real, ok: bool, more: dynamic)";

    public static void main(String[] args) throws Exception {
        Client client = ClientFactory.createClient(new ConnectionStringBuilder(args[0]));
        // Not corrected: the client would look for "ingest-127.0.0.1".
        IngestClient ingest = IngestClientFactory.createClient(new ConnectionStringBuilder(args[0]), null, false);
        for (String table : List.of("Csv", "Json")) {
            client.executeMgmt("Samples", ".create table " + table + " " + SCHEMA);
        }
        IngestionProperties csv = properties("Csv");
        csv.setIgnoreFirstRecord(true);
        IngestionProperties json = properties("Json");
        json.setDataFormat(IngestionProperties.DataFormat.MULTIJSON);
        client.executeMgmt("Samples", ".create table Json ingestion json mapping 'given' '" + mapping() + "'");
        json.setIngestionMapping("given", IngestionMapping.IngestionMappingKind.JSON);
        System.out.println("csv " + ends(ingest.ingestFromFile(new FileSourceInfo(args[1]), csv)));
        System.out.println("json " + ends(ingest.ingestFromFile(new FileSourceInfo(args[2]), json)));
        System.out.println("missing " + ends(ingest.ingestFromFile(new FileSourceInfo(args[1]), properties("Nowhere"))));
        KustoResultSetTable found = client.executeQuery("Samples", "Csv | summarize rows = count(), most = max(x)").getPrimaryResults();
        found.next();
        System.out.println("query " + found.getLong("rows") + " " + found.getDouble("most"));
        try {
            client.executeQuery("Samples", "Nowhere | count");
        } catch (DataServiceException error) {
            System.out.println("error " + error.isPermanent() + " " + error.getMessage().contains("'Nowhere'"));
        }
        System.exit(0);
    }

    private static String mapping() {
        List<String> columns = new ArrayList<>();
        for (String name : List.of("id", "name", "at", "x", "ok", "more")) {
            columns.add("{\"column\":\"" + name + "\",\"Properties\":{\"Path\":\"$." + name + "\"}}");
        }
        return columns.toString();
    }

    private static IngestionProperties properties(String table) {
        IngestionProperties properties = new IngestionProperties("Samples", table);
        properties.setFlushImmediately(true);
        properties.setReportLevel(IngestionProperties.IngestionReportLevel.FAILURES_AND_SUCCESSES);
        properties.setReportMethod(IngestionProperties.IngestionReportMethod.TABLE);
        return properties;
    }

    private static OperationStatus ends(IngestionResult result) throws Exception {
        long deadline = System.nanoTime() + 240_000_000_000L;
        while (System.nanoTime() < deadline) {
            OperationStatus status = result.getIngestionStatusCollection().get(0).status;
            if (status != OperationStatus.Pending) {
                return status;
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException("still pending");
    }
}
