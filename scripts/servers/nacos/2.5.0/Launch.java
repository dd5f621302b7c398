package flip;

import com.alibaba.nacos.common.utils.VersionUtils;
import com.alibaba.nacos.core.code.ControllerMethodsCache;
import com.alibaba.nacos.sys.env.EnvUtil;
import com.alibaba.nacos.sys.filter.NacosTypeExcludeFilter;
import java.util.Map;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.AutoConfigurationExcludeFilter;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.TypeExcludeFilter;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.FilterType;
import org.springframework.scheduling.annotation.EnableScheduling;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Starts every module of Nacos 2 on the class path. The console module is not among them; of it, this has the one
 * answer that tells the version, without which nobody could tell which server it is.
 */
@SpringBootApplication
@ComponentScan(basePackages = "com.alibaba.nacos", excludeFilters = {
        @ComponentScan.Filter(type = FilterType.CUSTOM, classes = NacosTypeExcludeFilter.class),
        @ComponentScan.Filter(type = FilterType.CUSTOM, classes = TypeExcludeFilter.class),
        @ComponentScan.Filter(type = FilterType.CUSTOM, classes = AutoConfigurationExcludeFilter.class)})
@ServletComponentScan("com.alibaba.nacos")
@EnableScheduling
public class Launch {
    public static void main(String[] args) {
        SpringApplication.run(Launch.class, args);
    }

    /** Without it the filters that authenticate and distribute do not find a request's method. */
    @Autowired
    void controllers(ControllerMethodsCache cache) {
        cache.initClassMethod("com.alibaba.nacos.naming.controllers");
        cache.initClassMethod("com.alibaba.nacos.config.server.controller");
        cache.initClassMethod("com.alibaba.nacos.core.controller");
    }

    @RestController
    static class State {
        @GetMapping("/v1/console/server/state")
        Map<String, String> state() {
            return Map.of("version", VersionUtils.version,
                    "standalone_mode", EnvUtil.getStandaloneMode() ? "standalone" : "cluster");
        }
    }
}
